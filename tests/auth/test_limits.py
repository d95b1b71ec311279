"""Sliding windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from starpod.auth.limits import FailedAttempts, SlidingWindow, address_key, retry_after
from tests.fakes import FakeClock


def test_the_call_too_many_is_told_when_to_come_back() -> None:
    clock = FakeClock()
    window = SlidingWindow(2, 60, clock)
    assert window.hit("u") is None
    clock.advance(10)
    assert window.hit("u") is None
    clock.advance(5)
    assert window.peek("u") == 45
    assert window.hit("u") == 45
    assert window.hit("other") is None
    clock.advance(45)
    assert window.hit("u") is None
    assert window.hit("u") == 10


def test_rejected_calls_do_not_count() -> None:
    clock = FakeClock()
    window = SlidingWindow(1, 60, clock)
    window.hit("u")
    for _ in range(59):
        clock.advance(1)
        assert window.hit("u") is not None
    clock.advance(1)
    assert window.hit("u") is None


def test_zero_is_no_limit() -> None:
    window = SlidingWindow(0, 60, FakeClock())
    assert {window.hit("u") for _ in range(100)} == {None}
    assert window.peek("u") is None
    assert len(window) == 0


def test_new_settings_act_on_what_was_counted() -> None:
    clock = FakeClock()
    window = SlidingWindow(5, 60, clock)
    for _ in range(5):
        assert window.hit("u") is None
        clock.advance(1)
    window.resize(2, 60)
    assert window.hit("u") == 58
    window.resize(6, 60)
    assert window.hit("u") is None
    window.resize(0, 60)
    assert window.hit("u") is None
    window.resize(1, 60)
    assert window.hit("u") is None


def test_the_map_is_bounded_and_swept() -> None:
    clock = FakeClock()
    window = SlidingWindow(1, 60, clock, max_keys=3)
    for key in ("a", "b", "c"):
        window.hit(key)
    window.hit("a")
    window.hit("d")
    assert len(window) == 3
    assert window.peek("a") is not None
    assert window.peek("b") is None
    clock.advance(30)
    window.hit("e")
    clock.advance(30)
    window.sweep()
    assert len(window) == 1


def test_an_address_is_blocked_after_failures_and_others_are_not() -> None:
    clock = FakeClock()
    failures = FailedAttempts(3, 300, clock)
    for _ in range(3):
        assert failures.blocked("10.0.0.1") is None
        failures.record("10.0.0.1")
    failures.record("10.0.0.1")
    assert failures.blocked("10.0.0.1") == 300
    assert failures.blocked("10.0.0.2") is None
    clock.advance(300)
    assert failures.blocked("10.0.0.1") is None


def test_a_household_shares_its_ipv6_network() -> None:
    assert address_key("2001:db8:1:2::1") == address_key("2001:db8:1:2:ffff::9") != address_key("2001:db8:1:3::1")
    assert address_key("::ffff:10.0.0.1") == address_key("10.0.0.1") == "10.0.0.1"
    assert address_key("fe80::1%eth0") == "fe80::/64"
    assert address_key(None) == address_key("nonsense") == "unknown"


def test_retry_after_is_whole_seconds_and_never_zero() -> None:
    assert [retry_after(wait_s) for wait_s in (0.0, 0.2, 1.0, 1.01, 59.5)] == [1, 1, 1, 2, 60]


@given(
    limit=st.integers(1, 5),
    steps=st.lists(st.floats(0, 40, allow_nan=False, width=16), max_size=60),
    window_s=st.integers(1, 60),
)
def test_no_window_ever_holds_more_than_the_limit(limit: int, steps: list[float], window_s: int) -> None:
    clock = FakeClock()
    window = SlidingWindow(limit, window_s, clock)
    allowed: list[float] = []
    for step in steps:
        clock.advance(step)
        wait_s = window.hit("u")
        recent = [moment for moment in allowed if moment > clock.monotonic() - window_s]
        assert (wait_s is None) == (len(recent) < limit)
        if wait_s is None:
            allowed.append(clock.monotonic())
        else:
            assert 0 < wait_s <= window_s
