"""Cuts texts into pieces of whole lines, each with the headings and the day that it stands under. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from starpod.memory.types import Chunk

MAX_CONTEXT_CHARS = 400
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_DAY = re.compile(r"(?<!\d)(\d{4})[-_./]?(0[1-9]|1[0-2])[-_./]?(0[1-9]|[12]\d|3[01])(?!\d)")


def day_in(text: str) -> str:
    """The first day in `text` (2026-03-05, 2026.03.05, 20260305) as an ISO day; empty when there is none."""
    for match in _DAY.finditer(text):
        try:
            return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
        except ValueError:
            continue
    return ""


def day_words(day: str) -> str:
    """A day as people write it, for matching: "2026-03-05 Thursday 5 March 2026"."""
    if not day:
        return ""
    moment = date.fromisoformat(day)
    return f"{day} {moment:%A} {moment.day} {moment:%B} {moment.year}"


def cut(text: str, *, size: int, overlap: int, title: str = "", day: str = "") -> list[Chunk]:
    """Pieces of about `size` characters that share `overlap` characters with the piece before; lines longer than that are split.

    Counted as the UTF-8 bytes of each line and its end. `title` and the headings above a piece become its context.
    """
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    pieces = [(number, part) for number, line in enumerate(lines, start=1) for part in _parts(line, size)]
    headings = _Headings(title, day)
    found: list[Chunk] = []
    start = 0
    while start < len(pieces):
        end, held = start, 0
        while end < len(pieces) and held < size:
            held += _weight(pieces[end][1])
            end += 1
        headings.advance(pieces, start)
        body = _joined(pieces[start:end])
        if body.strip():
            inside = headings.day_within(pieces[start:end])
            found.append(Chunk(body, headings.context(), pieces[start][0], pieces[end - 1][0], inside))
        # A tail that only repeats the overlap adds nothing.
        if end == len(pieces) or not any(part.strip() for _, part in pieces[end:]):
            break
        start = _next_start(pieces, start, end, overlap)
    return found


def _next_start(pieces: list[tuple[int, str]], start: int, end: int, overlap: int) -> int:
    back, repeated = end, 0
    while back > start and repeated < overlap:
        back -= 1
        repeated += _weight(pieces[back][1])
    return end if back == start else back


def _weight(part: str) -> int:
    return len(part.encode(errors="replace")) + 1


def _joined(pieces: list[tuple[int, str]]) -> str:
    """Parts of one line belong together, others stand on lines of their own."""
    out: list[str] = []
    last = 0
    for number, part in pieces:
        if number == last:
            out[-1] += part
        else:
            out.append(part)
        last = number
    return "\n".join(out)


def _parts(line: str, size: int) -> Iterator[str]:
    """The line, or its parts of at most `size` characters cut at a space where there is one."""
    if len(line) <= size and _weight(line) <= 4 * size:
        yield line
        return
    start = 0
    while start < len(line):
        end = min(start + size, len(line))
        if end < len(line):
            space = line.rfind(" ", start + size // 2, end)
            end = space + 1 if space > 0 else end
        yield line[start:end]
        start = end


class _Headings:
    """Which headings are in force while walking through a text."""

    def __init__(self, title: str, day: str) -> None:
        self._title = title
        self._file_day = day
        self._stack: list[tuple[int, str]] = []
        self._seen = 0

    def advance(self, pieces: list[tuple[int, str]], upto: int) -> None:
        for _, part in pieces[self._seen : upto]:
            self._take(part)
        self._seen = max(self._seen, upto)

    def context(self) -> str:
        words = " · ".join(filter(None, [self._title, *(text for _, text in self._stack)]))
        return f"{words[:MAX_CONTEXT_CHARS]} {day_words(self._day())}".strip()

    def day_within(self, pieces: list[tuple[int, str]]) -> str:
        """The day of a piece: of the heading in force, or of the first heading inside it that names one."""
        if day := self._day():
            return day
        for _, part in pieces:
            if part.startswith("#") and (match := _HEADING.match(part)) and (day := day_in(match[2])):
                return day
        return ""

    def _day(self) -> str:
        named = (day_in(text) for _, text in reversed(self._stack))
        return next(filter(None, named), "") or self._file_day

    def _take(self, part: str) -> None:
        if part.startswith("#") and (match := _HEADING.match(part)):
            level = len(match[1])
            self._stack = [each for each in self._stack if each[0] < level] + [(level, match[2])]
