"""The audit log, and what keeps strangers from filling it."""

from __future__ import annotations

import pytest

from starpod.auth.service import Auth
from tests.fakes import FakeClock


@pytest.mark.gen_test
async def test_the_newest_line_comes_first(auth: Auth, clock: FakeClock) -> None:
    await auth.audit("telegram_linked", "u1", "id 7", None)
    clock.advance(1)
    await auth.audit("failed_auth", None, "invalid key", "10.0.0.1")
    events = await auth.list_audit()
    assert [(event.event_type, event.detail, event.ip_address) for event in events] == [
        ("failed_auth", "invalid key", "10.0.0.1"),
        ("telegram_linked", "id 7", None),
    ]
    assert events[0].created_at == clock.now()
    assert await auth.list_audit(1) == events[:1]
    assert await auth.list_audit(0) == []
    assert await auth.list_audit(-5) == []


@pytest.mark.gen_test
async def test_a_stranger_writes_one_line_a_minute(auth: Auth, clock: FakeClock) -> None:
    for _ in range(50):
        assert await auth.sign_in("sp_live_wrong", "10.0.0.1") is None
    assert len(await auth.list_audit()) == 1
    await auth.audit("failed_auth", None, None, "10.0.0.2")
    assert len(await auth.list_audit()) == 2
    clock.advance(60)
    await auth.sign_in("", "10.0.0.1")
    assert len(await auth.list_audit()) == 3


@pytest.mark.gen_test
async def test_many_strangers_together_are_bounded_too(auth: Auth) -> None:
    for number in range(300):
        await auth.audit("failed_auth", None, "x" * 10_000, f"10.1.{number // 250}.{number % 250}")
    events = await auth.list_audit(1000)
    assert len(events) == 60
    assert all(len(event.detail or "") == 200 for event in events)


@pytest.mark.gen_test
async def test_lines_about_strangers_are_deleted_in_time(auth: Auth, clock: FakeClock) -> None:
    await auth.create_user()
    await auth.audit("failed_auth", None, None, "10.0.0.1")
    await auth.audit("rate_limited", "u1", None, "10.0.0.1")
    clock.advance(90 * 86400 + 1)
    assert await auth.sweep() == 2
    assert [event.event_type for event in await auth.list_audit()] == ["user_created"]
