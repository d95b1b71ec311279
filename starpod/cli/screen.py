"""What the terminal shows of a turn: the answer on stdout and nothing else there; tools and errors on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

# Everything that could move the cursor, change the colours or talk to the terminal; tabs and line ends may stay.
CONTROLS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
MAX_DETAIL_CHARS = 120


def plain(text: str) -> str:
    """`text` without control characters and terminal sequences: an answer may hold what a web page or a file said."""
    return CONTROLS.sub("", text)


class Screen:
    """Shows the messages of one turn (the contract's WebSocket messages, as JSON objects) as they come."""

    def __init__(self, answers: TextIO | None = None, notes: TextIO | None = None) -> None:
        self._answers = answers or sys.stdout
        self._notes = Console(file=notes or sys.stderr, highlight=False)
        self._in_line = False
        self.failed = False
        self.ended = False
        self.session_id: str | None = None

    def show(self, message: Mapping[str, Any]) -> None:
        """Show one message. Types it does not know are passed over: a newer gateway may send more."""
        match message.get("type"):
            case "stream_start":
                self.session_id = str(message.get("session_id", "")) or None
            case "text_delta":
                self._write(str(message.get("text", "")))
            case "tool_use":
                self._note(f"• {message.get('name')} {_compact(message.get('input'))}", "dim")
            case "tool_result" if message.get("is_error"):
                self._note(f"  failed: {_shortened(str(message.get('content', '')))}", "yellow")
            case "approval_request":
                what = message.get("subject") or f"{message.get('name')} {_compact(message.get('input'))}"
                self._note(f"? waits for your word: {what}", "bold")
            case "approval_result":
                self._note(f"  {message.get('outcome')}", "dim")
            case "attachment":
                self._note(f"• attached {message.get('file_name')}", "dim")
            case "error":
                self._fail(str(message.get("message", "")))
            case "stream_end":
                self._end(message)

    def finish(self) -> None:
        """End the line that the answer stopped in."""
        if self._in_line:
            self._answers.write("\n")
            self._in_line = False
        self._answers.flush()

    def _end(self, message: Mapping[str, Any]) -> None:
        self.ended = True
        self.finish()
        if message.get("stopped"):
            self._note("stopped", "yellow")
        if message.get("is_error"):
            for error in message.get("errors") or ["the turn ended without an answer"]:
                self._fail(str(error))

    def _write(self, text: str) -> None:
        text = plain(text)
        if text:
            self._answers.write(text)
            self._answers.flush()
            self._in_line = not text.endswith("\n")

    def _fail(self, text: str) -> None:
        self.failed = True
        self._note(f"error: {text}", "red")

    def _note(self, text: str, style: str) -> None:
        self.finish()
        self._notes.print(Text(plain(text).replace("\n", " "), style=style), soft_wrap=True)


def _compact(value: object) -> str:
    return _shortened(json.dumps(value, ensure_ascii=False)) if value else ""


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_CHARS else text[: MAX_DETAIL_CHARS - 1] + "…"
