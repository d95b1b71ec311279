"""The golden set is what it says: enough of everything, and its lines hold the answers."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from itertools import pairwise

from tests.bench import golden
from tests.bench.plain_search import PlainSearch, chunks
from tests.bench.retrieval import LIMITS, OVERALL, baselines, measure

CATEGORIES = {"plain", "paraphrase", "date", "name", "typo", "number", "scripts"}


def test_there_are_enough_questions_of_every_category() -> None:
    asked = Counter(each.category for each in golden.questions())
    assert set(asked) == CATEGORIES
    assert asked.total() >= 200
    assert min(asked.values()) >= 20
    assert asked["scripts"] >= asked.total() / 10


def test_no_question_is_asked_twice() -> None:
    texts = Counter((each.text.casefold(), each.category) for each in golden.questions())
    assert texts.most_common(1)[0][1] == 1


def test_every_answer_stands_where_it_is_said_to_stand() -> None:
    files = golden.files()
    for question in golden.questions():
        assert question.answers, question.text
        for answer in question.answers:
            lines = files[answer.passage.file].splitlines()
            assert 1 <= answer.passage.first <= answer.passage.last <= len(lines), question.text
            assert answer.phrase in "\n".join(lines[answer.passage.first - 1 : answer.passage.last]), question.text


def test_logs_are_daily_logs() -> None:
    logs = {name: text for name, text in golden.files().items() if name.startswith("memory/")}
    assert len(logs) >= 60
    for name, text in logs.items():
        day = date.fromisoformat(name.removeprefix("memory/").removesuffix(".md"))
        assert day < golden.ASKED.date()
        assert text.startswith(f"# Daily Log — {day}\n")
        times = re.findall(r"^## (\d\d:\d\d:\d\d)$", text, re.MULTILINE)
        assert len(times) >= 3, name
        assert all(first < second for first, second in pairwise(times)), name


def test_chunks_cover_every_line_and_end_with_the_file() -> None:
    for name, text in golden.files().items():
        pieces = [passage for passage, _ in chunks(name, text)]
        assert pieces[0].first == 1
        assert pieces[-1].last == len(text.splitlines())
        assert all(second.first <= first.last + 1 and second.last > first.last for first, second in pairwise(pieces))


def test_a_search_that_finds_nothing_has_no_recall_and_one_that_knows_has_all() -> None:
    questions = golden.questions()
    known = {each.text: [each.answers[0].passage] for each in questions}
    assert set(measure(lambda query, limit: [], questions).values()) == {0.0}
    assert set(measure(lambda query, limit: known[query][:limit], questions).values()) == {1.0}


def test_plain_searches_take_any_text() -> None:
    search = PlainSearch(golden.files(), "AND")
    try:
        for query in ('"', "AND OR", "a* (b", "", "??", "🙂", "NEAR(boiler)"):
            assert isinstance(search.search(query, 5), list)
    finally:
        search.close()


def test_the_questions_are_neither_trivial_nor_hopeless_for_plain_searches() -> None:
    every, either = baselines(golden.questions())
    for limit in LIMITS:
        assert 0.1 < every[OVERALL, limit] < either[OVERALL, limit] < 0.9
