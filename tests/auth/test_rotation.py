"""Keys that take the place of others, users that are deleted, and pages of the audit log."""

from __future__ import annotations

from datetime import timedelta

import pytest

from starpod.auth.service import Auth
from starpod.auth.types import Actor, AuditFilter
from starpod.errors import Conflict, InvalidInput, NotFound
from tests.fakes import FakeClock

pytestmark = pytest.mark.gen_test


async def test_both_keys_work_until_the_overlap_ends(auth: Auth, clock: FakeClock) -> None:
    ann = await auth.create_user()
    old, old_key = await auth.create_key(ann.id, "laptop")
    signed_in = await auth.sign_in(old_key, None)
    assert signed_in is not None
    new, new_key = await auth.rotate_key(old.id, 60)
    assert (new.label, new.expires_at, new.user_id) == ("laptop", None, ann.id)
    assert await auth.authenticate(old_key) == await auth.authenticate(new_key) == ann
    clock.advance(61)
    assert await auth.authenticate(old_key) is None
    assert await auth.authenticate_cookie(signed_in.token) is None
    assert await auth.authenticate(new_key) == ann


async def test_without_an_overlap_the_old_key_ends_at_once(auth: Auth) -> None:
    ann = await auth.create_user()
    old, old_key = await auth.create_key(ann.id)
    assert await auth.authenticate(old_key) == ann
    await auth.rotate_key(old.id)
    assert await auth.authenticate(old_key) is None
    with pytest.raises(Conflict):
        await auth.rotate_key(old.id)
    with pytest.raises(NotFound):
        await auth.rotate_key("nothing")
    with pytest.raises(InvalidInput):
        await auth.rotate_key(old.id, -1)


async def test_a_new_key_lives_as_long_as_the_old_one_was_to(auth: Auth, clock: FakeClock) -> None:
    ann = await auth.create_user()
    old, _ = await auth.create_key(ann.id, expires_at=clock.now() + timedelta(days=10))
    clock.advance(9 * 86400)
    new, _ = await auth.rotate_key(old.id, 30 * 86400)
    assert new.expires_at == clock.now() + timedelta(days=10)
    kept = await auth.get_key(old.id)
    assert kept.expires_at == old.expires_at


async def test_a_user_has_a_bounded_number_of_keys(auth: Auth) -> None:
    ann = await auth.create_user()
    made = [(await auth.create_key(ann.id))[0] for _ in range(100)]
    with pytest.raises(Conflict):
        await auth.create_key(ann.id)
    await auth.revoke_key(made[0].id)
    await auth.create_key(ann.id)


async def test_a_deleted_user_is_gone_with_all_keys(auth: Auth) -> None:
    admin = await auth.create_user(role="admin")
    ann = await auth.create_user(email="ann@example.org")
    _, key = await auth.create_key(ann.id)
    await auth.links.set(ann.id, 7, None)
    assert await auth.authenticate(key) == ann
    await auth.delete_user(ann.id, actor=Actor(admin.id))
    assert await auth.authenticate(key) is None
    assert await auth.telegram_user(7, None) is None
    with pytest.raises(NotFound):
        await auth.delete_user(ann.id)
    with pytest.raises(Conflict):
        await auth.delete_user(admin.id)
    with pytest.raises(InvalidInput):
        await auth.delete_user(admin.id, actor=Actor(admin.id))


async def test_the_log_by_pages_and_filters(auth: Auth, clock: FakeClock) -> None:
    ann = await auth.create_user()
    for _ in range(5):
        clock.advance(60)
        await auth.create_key(ann.id)
    first = await auth.list_audit(2)
    second = await auth.list_audit(2, AuditFilter(before=first[-1].id))
    assert [event.id for event in first + second] == [6, 5, 4, 3]
    assert len(await auth.list_audit(wanted=AuditFilter(event_type="user_created"))) == 1
    assert await auth.list_audit(wanted=AuditFilter(user_id="nobody")) == []
    late = AuditFilter(since=clock.now() - timedelta(seconds=60), until=clock.now())
    assert [event.id for event in await auth.list_audit(wanted=late)] == [5]
