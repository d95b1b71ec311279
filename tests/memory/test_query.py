"""What questions ask for: words, phrases, and the days that they name."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starpod.memory import scripts
from starpod.memory.dates import days_named, times_named
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
        ("last Tuesday", ("2026-06-09", "2026-06-09")),
        ("last weekend", ("2026-06-13", "2026-06-14")),
        ("two weeks ago", ("2026-05-29", "2026-06-06")),
        ("in November last year", ("2025-11-01", "2025-11-30")),
        ("the second Thursday of March", ("2026-03-12", "2026-03-12")),
        ("from 3 to 10 May", ("2026-05-03", "2026-05-10")),
        ("at the end of February", ("2026-02-19", "2026-02-28")),
        ("last autumn", ("2025-09-01", "2025-11-30")),
        ("12.5.", ("2026-05-12", "2026-05-12")),
        ("20.3.26", ("2026-03-20", "2026-03-20")),
        ("am 13. Oktober", ("2025-10-13", "2025-10-13")),
        ("vor zwei Wochen", ("2026-05-29", "2026-06-06")),
        ("le 3 février", ("2026-02-03", "2026-02-03")),
        ("la semaine dernière", ("2026-06-08", "2026-06-14")),
        ("el 2 de diciembre", ("2025-12-02", "2025-12-02")),
        ("что было 9 марта", ("2026-03-09", "2026-03-09")),
        ("في مارس", ("2026-03-01", "2026-03-31")),
        ("去年三月", ("2025-03-01", "2025-03-31")),
        ("1月21日に何があった", ("2026-01-21", "2026-01-21")),
        ("上周二", ("2026-06-09", "2026-06-09")),
        ("어제", ("2026-06-15", "2026-06-15")),
        ("5 มีนาคม 2569", ("2026-03-05", "2026-03-05")),
        ("version 3.1.2 at 12.50", None),
        ("May I fall in line with Jan's plan?", None),
        ("may I march on?", None),
        ("no day at all", None),
    ],
)
def test_days_that_a_question_names(text: str, days: tuple[str, str] | None) -> None:
    assert days_named(text, TODAY) == ([days] if days else [])


def test_a_day_between_slashes_is_read_both_ways() -> None:
    assert days_named("12/05/2026", TODAY) == [("2026-05-12", "2026-05-12"), ("2026-12-05", "2026-12-05")]


def test_a_weekday_by_itself_only_hints_at_a_day() -> None:
    (time,) = times_named("Monday's meeting", TODAY)
    assert (time.first, time.is_exact) == ("2026-06-15", False)
    assert parse("Monday's meeting", TODAY).vague_days == (("2026-06-15", "2026-06-15"),)


def test_words_that_name_a_day_need_not_stand_in_the_answer() -> None:
    question = parse("boiler in March", TODAY)
    assert [word.text for word in question.words if word.is_time] == ["in", "march"]
    assert parse("3月5日", TODAY).grams == ()
    assert not parse("3月5日", TODAY).is_empty


@given(st.text(max_size=60))
def test_folding_keeps_the_place_of_every_letter(text: str) -> None:
    assert len(scripts.fold(text)) == len(text)


def test_letters_that_are_no_accents_stay_different() -> None:
    assert scripts.fold("한글") == "한글"
    assert scripts.fold("が") != scripts.fold("か")
    assert scripts.fold("ガ") == "ガ"
    assert scripts.fold("Müller Ørsted Łódź") == "muller orsted lodz"
