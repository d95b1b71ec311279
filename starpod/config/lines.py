"""On which line of a TOML text each key stands: the parsers give values only, and an error message needs the line.

The text must be valid TOML (https://toml.io/en/v1.0.0); it is scanned once, values are skipped, not read.
"""

from __future__ import annotations

import bisect
import tomllib
from collections.abc import Sequence

Path = tuple[str | int, ...]

BARE_END = frozenset(" \t\r\n.=]\"'")
SCALAR_END = frozenset(",]}#\n")


def find_line(text: str, path: Sequence[str | int]) -> int | None:
    """The line, from 1, of the key at `path` (`("providers", "openai", "base_url")`), else of the nearest table around it, else None."""
    lines = _Scanner(text.replace("\r\n", "\n")).scan()
    for length in range(len(path), 0, -1):
        if (line := lines.get(tuple(path[:length]))) is not None:
            return line
    return None


class _Scanner:
    """Walks the text once and notes the line of each key, table and array element by its path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_starts = [0] + [index + 1 for index, letter in enumerate(text) if letter == "\n"]
        self._lines: dict[Path, int] = {}
        self._last_element: dict[Path, int] = {}  # of each array of tables

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip_blank():
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        start, of_array = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if of_array else 1
        parts = self._key("]")
        self._at += 2 if of_array else 1
        path: Path = ()
        for number, part in enumerate(parts):
            path += (part,)
            if of_array and number == len(parts) - 1:
                self._note(path, start)
                self._last_element[path] = self._last_element.get(path, -1) + 1
            if path in self._last_element:
                path += (self._last_element[path],)
        for length in range(1, len(path) + 1):
            self._note(path[:length], start)
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        parts = self._key("=")
        self._at += 1
        for length in range(1, len(parts) + 1):
            self._note(table + tuple(parts[:length]), start)
        self._value(table + tuple(parts))

    def _key(self, end: str) -> list[str]:
        """The parts of a dotted key, up to and without the character `end`."""
        parts: list[str] = []
        while self._skip_blank() and self._peek() != end:
            start = self._at
            if self._peek() == ".":
                self._at += 1
            elif self._peek() in "\"'":
                self._string()
                parts.append(str(tomllib.loads(f"key = {self._text[start : self._at]}")["key"]))
            else:
                while self._peek() and self._peek() not in BARE_END:
                    self._at += 1
                parts.append(self._text[start : self._at])
                self._at = max(self._at, start + 1)
        return parts

    def _value(self, path: Path) -> None:
        self._skip_blank()
        letter = self._peek()
        if letter and letter in "\"'":
            self._string()
        elif letter == "[":
            self._array(path)
        elif letter == "{":
            self._at += 1
            while self._skip_blank() and self._peek() != "}":
                if self._peek() == ",":
                    self._at += 1
                else:
                    self._pair(path)
            self._at += 1
        else:
            while self._peek() and self._peek() not in SCALAR_END:
                self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        element = 0
        while self._skip_blank() and self._peek() != "]":
            if self._peek() == ",":
                self._at += 1
                continue
            self._note((*path, element), self._at)
            self._value((*path, element))
            element += 1
        self._at += 1

    def _string(self) -> None:
        quote = self._peek()
        end = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(end)
        while self._at < len(self._text) and not self._text.startswith(end, self._at):
            self._at += 2 if quote == '"' and self._peek() == "\\" else 1
        self._at += len(end)
        # A multi-line string may end in up to two quotes of its own.
        while len(end) == 3 and self._peek() == quote:
            self._at += 1

    def _skip_blank(self) -> bool:
        """Pass over blanks, line ends and comments; False at the end of the text."""
        while self._at < len(self._text):
            if self._peek() == "#":
                newline = self._text.find("\n", self._at)
                self._at = len(self._text) if newline < 0 else newline
            elif self._peek() not in " \t\r\n":
                return True
            else:
                self._at += 1
        return False

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    def _note(self, path: Path, offset: int) -> None:
        self._lines.setdefault(path, bisect.bisect_right(self._line_starts, offset))
