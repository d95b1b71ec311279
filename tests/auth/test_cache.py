"""Remembered answers: fresh, bounded, and never from before a change."""

from __future__ import annotations

from starpod.auth.cache import AnswerCache
from starpod.auth.types import MISS, User
from tests.fakes import FakeClock


def make_user(clock: FakeClock) -> User:
    return User("u1", None, None, "user", True, False, clock.now(), clock.now())


def test_an_answer_lives_two_seconds_or_as_long_as_the_credential() -> None:
    clock = FakeClock()
    cache, user = AnswerCache(clock), make_user(clock)
    cache.put("long", user, cache.generation, lifetime_s=100)
    cache.put("short", user, cache.generation, lifetime_s=0.5)
    cache.put("wrong", None, cache.generation)
    assert (cache.get("long"), cache.get("short"), cache.get("wrong"), cache.get("new")) == (user, user, None, MISS)
    clock.advance(0.5)
    assert cache.get("short") is MISS
    clock.advance(1.5)
    assert (cache.get("long"), cache.get("wrong")) == (MISS, MISS)
    cache.sweep()
    assert len(cache) == 0


def test_an_answer_from_before_a_change_is_not_kept() -> None:
    clock = FakeClock()
    cache = AnswerCache(clock)
    asked = cache.generation
    cache.clear()
    cache.put("key", make_user(clock), asked)
    assert cache.get("key") is MISS


def test_a_flood_of_wrong_keys_pushes_out_no_right_one() -> None:
    clock = FakeClock()
    cache, user = AnswerCache(clock, max_known=2, max_unknown=5), make_user(clock)
    cache.put("right", user, cache.generation)
    for number in range(1000):
        cache.put(f"wrong {number}", None, cache.generation)
    assert cache.get("right") == user
    assert len(cache) == 6
    for number in range(10):
        cache.put(f"right {number}", user, cache.generation)
    assert len(cache) == 7
