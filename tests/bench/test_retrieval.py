"""The gateway's search answers clearly more of the golden questions than plain full-text search does."""

from __future__ import annotations

from tests.bench import golden
from tests.bench.retrieval import LIMITS, OVERALL, baselines, ours


def test_search_of_memory_is_clearly_above_both_plain_searches() -> None:
    questions = golden.questions()
    every, either = baselines(questions)
    found = ours(questions)
    for limit in LIMITS:
        assert found[OVERALL, limit] > either[OVERALL, limit] + 0.08
        assert found[OVERALL, limit] > every[OVERALL, limit] + 0.5
        for category in ("date", "typo", "scripts"):
            assert found[category, limit] > either[category, limit]
