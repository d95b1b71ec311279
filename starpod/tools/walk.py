"""Walking a home and matching its paths against glob patterns. Follows no links and gives up after a while, saying so."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from starpod.tools import home as homes
from starpod.tools.types import ToolFailure

if TYPE_CHECKING:
    import regex

MAX_PATTERN_CHARS = 1_000
MAX_VISITED = 200_000
TIME_LIMIT_S = 10.0


@dataclass(slots=True)
class Budget:
    """How much one search may still do; `spent` and `too_big` tell afterwards what was left out."""

    deadline: float = field(default_factory=lambda: time.monotonic() + TIME_LIMIT_S)
    visits: int = MAX_VISITED
    spent: bool = False
    too_big: int = 0

    def left_s(self) -> float:
        """Seconds left; at least a millisecond, because zero means no limit to `regex`."""
        return max(self.deadline - time.monotonic(), 0.001)

    def visit(self) -> bool:
        """Count one file; False when the budget is spent."""
        self.visits -= 1
        self.spent = self.spent or self.visits < 0 or time.monotonic() > self.deadline
        return not self.spent


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file: where it is, how it is shown (relative to the home), and when it was changed (seconds)."""

    path: Path
    name: str
    relative: str
    modified: float


def files(home: Path, start: Path, budget: Budget) -> Iterator[Found]:
    """Every regular file at or below the resolved `start`, by name; `relative` is relative to `start`.

    Links to files count when they end inside the home; links to directories are not entered.
    """
    base = Path(os.path.realpath(home))
    if start.is_file():
        yield Found(start, homes.shown(home, start), start.name, start.stat().st_mtime)
        return
    for directory, names, file_names in os.walk(start):
        names[:] = sorted(name for name in names if name.casefold() != homes.PRIVATE_NAME)
        for file_name in sorted(file_names):
            if not budget.visit():
                return
            path = Path(directory, file_name)
            real = _readable(base, path)
            if real is None:
                continue
            status = real.stat()
            if stat.S_ISREG(status.st_mode):
                name, relative = (_text(path.relative_to(root).as_posix()) for root in (base, start))
                yield Found(real, name, relative, status.st_mtime)
        if not budget.visit():
            return


def glob_pattern(pattern: str) -> regex.Pattern[str]:
    """What matches a whole relative path as the glob does: `*` and `?` within a name, `**` any folders, `[..]`, `{a,b}`.

    A pattern without a slash matches the name in any folder, as people mean it. ToolFailure when it is unusable.
    """
    import regex  # large, and few turns search

    if not pattern or len(pattern) > MAX_PATTERN_CHARS:
        raise ToolFailure(f"The glob pattern must have 1 to {MAX_PATTERN_CHARS} characters.")
    pattern = pattern.removeprefix("~/").removeprefix("./")
    if pattern.startswith("/") or ".." in pattern.split("/"):
        raise ToolFailure("The glob pattern must stay below the searched directory: no leading '/' and no '..'.")
    if "/" not in pattern:
        pattern = "**/" + pattern
    try:
        return regex.compile(_translated(pattern), flags=regex.DOTALL)
    except (regex.error, RecursionError) as error:
        raise ToolFailure(f"The glob pattern '{pattern}' is not valid.") from error


def _translated(pattern: str) -> str:
    pieces: list[str] = []
    position = depth = 0
    while position < len(pattern):
        character = pattern[position]
        close = pattern.find("]", position + 2) if character == "[" else -1
        if pattern.startswith("**/", position):
            pieces.append("(?:[^/]+/)*")
            position += 3
            continue
        if pattern.startswith("**", position):
            pieces.append(".*")
            position += 2
            continue
        if close > 0:
            inside = pattern[position + 1 : close].replace("\\", "\\\\").replace("[", "\\[")
            pieces.append(f"(?!/)[{'^' + inside[1:] if inside[0] in '!^' else inside}]")
            position = close + 1
            continue
        if character == "{" and "}" in pattern[position:]:
            depth += 1
            pieces.append("(?:")
        elif character == "}" and depth:
            depth -= 1
            pieces.append(")")
        elif character == "," and depth:
            pieces.append("|")
        else:
            pieces.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
        position += 1
    return "".join(pieces)


def _text(name: str) -> str:
    """A file name as text that can be sent: the bytes of one that is not UTF-8 become question marks."""
    return name.encode(errors="replace").decode()


def _readable(base: Path, path: Path) -> Path | None:
    """The file itself, links resolved; None when it is gone, private, or ends outside the home."""
    try:
        if not path.is_symlink():
            return path if path.exists() else None
        real = Path(os.path.realpath(path, strict=True))
    except OSError:
        return None
    if not real.is_relative_to(base) or any(
        part.casefold() == homes.PRIVATE_NAME for part in real.relative_to(base).parts
    ):
        return None
    return real
