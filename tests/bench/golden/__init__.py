"""The golden set: a half year of daily logs and notes, questions as people type them, and the lines that answer each.

`logs/` is laid out like a user's folder. `questions.jsonl` holds one question a line. Any one of its answers is enough.
Questions are asked on `ASKED`, the day after the last log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

LOGS = Path(__file__).parent / "logs"
QUESTIONS = Path(__file__).parent / "questions.jsonl"
ASKED = datetime(2026, 6, 16, 9, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines `first` to `last` of a file, 1-based and inclusive. `file` is relative to the user's folder."""

    file: str
    first: int
    last: int

    def overlaps(self, other: Passage) -> bool:
        return self.file == other.file and self.first <= other.last and other.first <= self.last


@dataclass(frozen=True, slots=True)
class Answer:
    """Where an answer stands, and words that those lines hold."""

    passage: Passage
    phrase: str


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    category: str
    answers: tuple[Answer, ...]

    def answered_by(self, found: list[Passage]) -> bool:
        return any(each.passage.overlaps(passage) for each in self.answers for passage in found)


def questions() -> list[Question]:
    """All of them, in the order of the file."""
    return [_question(json.loads(line)) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]


def files() -> dict[str, str]:
    """The text of every file by its relative path."""
    return {path.relative_to(LOGS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(LOGS.rglob("*.md"))}


def _question(entry: dict[str, object]) -> Question:
    match entry:
        case {"question": str(text), "category": str(category), "answers": list(given)}:
            answers = [Answer(Passage(each["file"], *each["lines"]), each["phrase"]) for each in given]
            return Question(text, category, tuple(answers))
    raise ValueError(f"not a question: {entry!r}")
