"""What questions ask for: words, phrases, and the days that they name."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starpod.memory.dates import days_named
from starpod.memory.query import parse

TODAY = date(2026, 6, 16)


def test_words_without_meaning_do_not_count() -> None:
    question = parse("What did we pay for the Boiler's repair?", TODAY)
    assert [word.text for word in question.words if word.is_content] == ["pay", "boiler", "repair"]


def test_only_such_words_are_a_question_too() -> None:
    assert all(word.is_content for word in parse("to be or not to be", TODAY).words)


def test_phrases_and_prefixes() -> None:
    question = parse('"Mill Lane" boil*', TODAY)
    assert question.phrases == ("mill lane",)
    assert [word.text for word in question.words if word.is_prefix] == ["boil"]


@given(st.text(max_size=300))
def test_any_text_is_a_question(text: str) -> None:
    question = parse(text, TODAY)
    assert len(question.words) <= 32


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("on 3 May", ("2026-05-03", "2026-05-03")),
        ("March 5th, 2025", ("2025-03-05", "2025-03-05")),
        ("2026-03-05", ("2026-03-05", "2026-03-05")),
        ("in March", ("2026-03-01", "2026-03-31")),
        ("in November", ("2025-11-01", "2025-11-30")),
        ("yesterday", ("2026-06-15", "2026-06-15")),
        ("last week", ("2026-06-08", "2026-06-14")),
        ("last month", ("2026-05-01", "2026-05-31")),
        ("on Monday", ("2026-06-15", "2026-06-15")),
        ("three days ago", ("2026-06-13", "2026-06-13")),
        ("in 2025", ("2025-01-01", "2025-12-31")),
        ("31 February", ("2026-02-01", "2026-02-28")),
        ("may I march on?", None),
        ("no day at all", None),
    ],
)
def test_days_that_a_question_names(text: str, days: tuple[str, str] | None) -> None:
    assert days_named(text, TODAY) == ([days] if days else [])
