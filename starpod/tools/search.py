"""Glob and Grep: find files of the user's home by name and by content."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from starpod.tools import home as homes
from starpod.tools import walk
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

if TYPE_CHECKING:
    import regex

MAX_FOUND = 200
MAX_RESULT_BYTES = 45_000
MAX_FILE_BYTES = 20 * 1_048_576
MAX_LINE_CHARS = 1_000
_SEARCHED_LINE_CHARS = 100_000
_CUT_SHORT = "[the search took too long and stopped here; search in a smaller directory]"
_TYPES: dict[str, tuple[str, ...]] = {
    "c": (".c", ".h"),
    "cpp": (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".h"),
    "css": (".css", ".scss", ".less"),
    "csv": (".csv", ".tsv"),
    "go": (".go",),
    "html": (".html", ".htm"),
    "java": (".java",),
    "js": (".js", ".jsx", ".mjs", ".cjs"),
    "json": (".json", ".jsonl"),
    "md": (".md", ".markdown"),
    "py": (".py", ".pyi"),
    "rust": (".rs",),
    "sh": (".sh", ".bash", ".zsh"),
    "sql": (".sql",),
    "toml": (".toml",),
    "ts": (".ts", ".tsx"),
    "txt": (".txt", ".log"),
    "xml": (".xml", ".svg"),
    "yaml": (".yaml", ".yml"),
}


class GlobArguments(Arguments):
    pattern: str = Field(description="Glob such as *.md, documents/**/*.txt or {a,b}*.py")
    path: str = Field(default=".", description="Directory to search in")


class GrepArguments(Arguments):
    pattern: str = Field(description="Regular expression, matched line by line")
    path: str = Field(default=".", description="File or directory to search in")
    glob: str | None = Field(default=None, description="Only files whose path matches this glob")
    type: str | None = Field(default=None, description=f"Only files of this kind: {', '.join(_TYPES)}")
    output_mode: Literal["content", "files_with_matches", "count"] = "files_with_matches"
    ignore_case: bool = Field(default=False, alias="-i", description="Ignore upper and lower case")
    line_numbers: bool = Field(default=True, alias="-n", description="Show line numbers (content)")
    after: int | None = Field(
        default=None, alias="-A", ge=0, le=100, description="Lines to show after each match (content)"
    )
    before: int | None = Field(
        default=None, alias="-B", ge=0, le=100, description="Lines to show before each match (content)"
    )
    around: int = Field(
        default=0, alias="-C", ge=0, le=100, description="Lines to show before and after each match (content)"
    )
    head_limit: int | None = Field(default=None, ge=1, description="Show at most so many lines of the result")


def glob(context: ToolContext, arguments: GlobArguments) -> str:
    """Matching files, latest change first, one a line, relative to the home."""
    start = _start(context, arguments.path)
    if not start.is_dir():
        raise ToolFailure(f"'{arguments.path}' is not a directory.")
    pattern = walk.glob_pattern(arguments.pattern)
    budget = walk.Budget()
    found = [file for file in walk.files(context.home, start, budget) if _matches(pattern, file.relative, budget)]
    found.sort(key=lambda file: (-file.modified, file.name))
    lines = [file.name for file in found[:MAX_FOUND]]
    if len(found) > MAX_FOUND:
        lines.append(f"[only the latest {MAX_FOUND} of {len(found)} files]")
    if budget.spent:
        lines.append(_CUT_SHORT)
    return "\n".join(lines) or "No files found."


def grep(context: ToolContext, arguments: GrepArguments, budget: walk.Budget | None = None) -> str:
    """The matching lines, files or counts, by file name. Binary files and files over 20 MB are left out.

    A pattern that takes too long, alone or over many files, is given up when the budget is spent, and the result says so.
    """
    start = _start(context, arguments.path)
    pattern = _compiled(arguments)
    only = walk.glob_pattern(arguments.glob) if arguments.glob else None
    suffixes = _suffixes(arguments.type)
    budget = budget or walk.Budget()
    report = _Report(arguments.head_limit)
    try:
        for file in walk.files(context.home, start, budget):
            if only is not None and not _matches(only, file.relative, budget):
                continue
            if suffixes and not file.name.casefold().endswith(suffixes):
                continue
            if not report.extend(_results(context, file, pattern, arguments, budget)):
                break
    except TimeoutError:
        budget.spent = True
    notes = [_CUT_SHORT] if budget.spent else []
    if budget.too_big:
        notes.append(f"[{budget.too_big} file(s) over {MAX_FILE_BYTES // 1_048_576} MB left out]")
    return "\n".join([*(report.lines or ["No matches found."]), *notes])


class _Report:
    """Lines of the result, up to the limits."""

    def __init__(self, head_limit: int | None) -> None:
        self.lines: list[str] = []
        self._left = head_limit
        self._bytes_left = MAX_RESULT_BYTES

    def extend(self, lines: Iterator[str]) -> bool:
        """Take lines while there is room; False when there is no more."""
        for line in lines:
            self._bytes_left -= len(line.encode()) + 1
            if self._left == 0 or self._bytes_left < 0:
                self.lines.append("[there are more results; narrow the search]")
                return False
            self.lines.append(line)
            self._left = None if self._left is None else self._left - 1
        return True


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    matches: bool


def _start(context: ToolContext, path: str) -> Path:
    start = homes.resolve(context.home, path)
    if not start.exists():
        raise ToolFailure(f"'{path}' does not exist.")
    return start


def _matches(pattern: regex.Pattern[str], relative: str, budget: walk.Budget) -> bool:
    try:
        return pattern.fullmatch(relative, timeout=budget.left_s(), concurrent=True) is not None
    except TimeoutError:
        budget.spent = True
        return False


def _compiled(arguments: GrepArguments) -> regex.Pattern[str]:
    import regex  # large, and few turns search

    if not arguments.pattern or len(arguments.pattern) > walk.MAX_PATTERN_CHARS:
        raise ToolFailure(f"The pattern must have 1 to {walk.MAX_PATTERN_CHARS} characters.")
    try:
        return regex.compile(arguments.pattern, flags=regex.IGNORECASE if arguments.ignore_case else 0)
    except (regex.error, RecursionError, OverflowError) as error:
        reason = str(error) if isinstance(error, regex.error) else "it is too deeply nested"
        raise ToolFailure(f"The pattern is not a valid regular expression: {reason}.") from error


def _suffixes(kind: str | None) -> tuple[str, ...]:
    if kind is None:
        return ()
    known = _TYPES.get(kind.casefold().lstrip("."))
    if known is None:
        raise ToolFailure(
            f"The type '{kind[:40]}' is not known; known are {', '.join(_TYPES)}. Use glob for other files."
        )
    return known


def _results(
    context: ToolContext, file: walk.Found, pattern: regex.Pattern[str], arguments: GrepArguments, budget: walk.Budget
) -> Iterator[str]:
    """What one file adds to the result. TimeoutError when the time is up, also within a single match."""
    lines = _searched(context, file, pattern, budget)
    match arguments.output_mode:
        case "files_with_matches":
            if any(line.matches for line in lines):
                yield file.name
        case "count":
            if count := sum(line.matches for line in lines):
                yield f"{file.name}:{count}"
        case "content":
            before = arguments.around if arguments.before is None else arguments.before
            after = arguments.around if arguments.after is None else arguments.after
            yield from _content(file.name, lines, before, after, numbers=arguments.line_numbers)


def _searched(
    context: ToolContext, file: walk.Found, pattern: regex.Pattern[str], budget: walk.Budget
) -> Iterator[_Line]:
    try:
        with os.fdopen(homes.open_file(context.home, file.path), "rb") as opened:
            if os.fstat(opened.fileno()).st_size > MAX_FILE_BYTES:
                budget.too_big += 1
                return
            data = opened.read(MAX_FILE_BYTES)
    except (OSError, ToolFailure):  # gone, locked or replaced by something else since the walk saw it
        return
    if b"\0" in data[:8_192]:
        return
    text = data.decode(errors="replace")
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        line = line.removesuffix("\r")
        if number % 1_000 == 0 and not budget.visit():
            raise TimeoutError
        matches = pattern.search(line[:_SEARCHED_LINE_CHARS], timeout=budget.left_s(), concurrent=True) is not None
        yield _Line(number, line, matches)


def _content(name: str, lines: Iterator[_Line], before: int, after: int, *, numbers: bool) -> Iterator[str]:
    """Matching lines as `name:12:text`, lines around them as `name-12-text`, groups apart by `--` when lines around are shown."""
    earlier: deque[_Line] = deque(maxlen=before)
    wanted = last = 0
    for line in lines:
        if line.matches:
            if (before or after) and last and line.number - len(earlier) > last + 1:
                yield "--"
            for context_line in [*earlier, line]:
                yield _shown(name, context_line, numbers=numbers)
            earlier.clear()
            wanted, last = after, line.number
        elif wanted:
            yield _shown(name, line, numbers=numbers)
            wanted, last = wanted - 1, line.number
        else:
            earlier.append(line)


def _shown(name: str, line: _Line, *, numbers: bool) -> str:
    mark = ":" if line.matches else "-"
    text = line.text if len(line.text) <= MAX_LINE_CHARS else f"{line.text[:MAX_LINE_CHARS]} [line cut]"
    return f"{name}{mark}{line.number}{mark}{text}" if numbers else f"{name}{mark}{text}"


_GLOB = "Find files of the user's home by name, latest change first."
_GREP = "Search the content of files in the user's home by regular expression."

SEARCH_TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec("Glob", _GLOB, GlobArguments, glob),
    ToolSpec("Grep", _GREP, GrepArguments, grep),
)
