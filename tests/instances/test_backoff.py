"""When what ended is started again."""

from __future__ import annotations

from starpod.instances.backoff import Backoff


def test_the_first_end_is_mended_at_once_and_later_ones_ever_later_until_it_is_given_up() -> None:
    backoff, waits = Backoff(limit=4), []
    for _ in range(4):
        backoff.died(100.0, lived_s=1.0)
        waits.append(backoff.due - 100.0)
    assert waits == [0.0, 0.5, 1.0, 2.0]
    assert backoff.reason is None and backoff.is_due(102.0) and not backoff.is_due(101.0)
    backoff.died(200.0, lived_s=1.0)
    assert backoff.reason is not None and not backoff.is_due(1e9)


def test_a_long_life_starts_anew() -> None:
    backoff = Backoff(limit=1)
    backoff.died(0.0, lived_s=1.0)
    backoff.died(1000.0, lived_s=900.0)
    assert backoff.due == 1000.0 and backoff.reason is None
