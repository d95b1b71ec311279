"""A short form of `python -m tests.crash_jobs`."""

from __future__ import annotations

from tests.crash_jobs import run


def test_no_due_time_is_lost_or_done_twice_when_schedulers_are_killed() -> None:
    assert run(rounds=10, seed=7) == []
