"""Cookies and one-time codes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from starpod.auth.service import Auth
from starpod.auth.types import MISS
from starpod.errors import NotFound
from tests.fakes import FakeClock


@pytest.mark.gen_test
async def test_a_key_is_traded_for_a_cookie(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id)
    signed_in = await auth.sign_in(key, "10.0.0.1")
    assert signed_in is not None and signed_in.user == user
    assert signed_in.expires_at == clock.now() + timedelta(days=30)
    assert signed_in.token not in repr(signed_in)
    assert auth.cached_cookie(signed_in.token) is MISS
    assert await auth.authenticate_cookie(signed_in.token) == user
    assert auth.cached_cookie(signed_in.token) == user
    assert await auth.authenticate(signed_in.token) is None
    assert await auth.authenticate_cookie(key) is None
    event = (await auth.list_audit(1))[0]
    assert (event.event_type, event.user_id, event.ip_address) == ("login_ok", user.id, "10.0.0.1")


@pytest.mark.gen_test
async def test_a_code_works_once(auth: Auth) -> None:
    user = await auth.create_user()
    code = await auth.create_sign_in_code(user.id)
    assert await auth.authenticate(code) is None
    assert await auth.authenticate_cookie(code) is None
    signed_in = await auth.sign_in(code, None)
    assert signed_in is not None and await auth.authenticate_cookie(signed_in.token) == user
    assert await auth.sign_in(code, None) is None


@pytest.mark.gen_test
async def test_a_code_works_once_for_many_who_come_together(auth: Auth, other_process: Auth) -> None:
    user = await auth.create_user()
    code = await auth.create_sign_in_code(user.id)
    answers = await asyncio.gather(*(who.sign_in(code, None) for who in (auth, other_process) for _ in range(20)))
    assert len([answer for answer in answers if answer is not None]) == 1


@pytest.mark.gen_test
async def test_a_code_expires(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    code = await auth.create_sign_in_code(user.id, ttl_s=60)
    clock.advance(60)
    assert await auth.sign_in(code, None) is None
    with pytest.raises(NotFound):
        await auth.create_sign_in_code("nobody")


@pytest.mark.gen_test
async def test_a_cookie_expires(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    signed_in = await auth.sign_in(await auth.create_sign_in_code(user.id), None)
    assert signed_in is not None
    clock.advance(30 * 86400 - 1)
    assert await auth.authenticate_cookie(signed_in.token) == user
    clock.advance(1)
    assert await auth.authenticate_cookie(signed_in.token) is None


@pytest.mark.gen_test
async def test_a_cookie_lasts_no_longer_than_its_key(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    ends = clock.now() + timedelta(hours=1)
    _, key = await auth.create_key(user.id, expires_at=ends)
    signed_in = await auth.sign_in(key, None)
    assert signed_in is not None and signed_in.expires_at == ends
    clock.advance(3600)
    assert await auth.authenticate_cookie(signed_in.token) is None


@pytest.mark.gen_test
async def test_revoking_a_key_ends_its_cookies_only(auth: Auth) -> None:
    user = await auth.create_user()
    meta, key = await auth.create_key(user.id)
    by_key = await auth.sign_in(key, None)
    by_code = await auth.sign_in(await auth.create_sign_in_code(user.id), None)
    assert by_key is not None and by_code is not None
    assert await auth.authenticate_cookie(by_key.token) == user
    await auth.revoke_key(meta.id)
    assert await auth.authenticate_cookie(by_key.token) is None
    assert await auth.authenticate_cookie(by_code.token) == user


@pytest.mark.gen_test
async def test_deactivating_a_user_ends_cookies_for_good(auth: Auth) -> None:
    user = await auth.create_user()
    code = await auth.create_sign_in_code(user.id)
    signed_in = await auth.sign_in(await auth.create_sign_in_code(user.id), None)
    assert signed_in is not None
    await auth.set_active(user.id, False)
    assert await auth.authenticate_cookie(signed_in.token) is None
    assert await auth.sign_in(code, None) is None
    with pytest.raises(NotFound):
        await auth.create_sign_in_code(user.id)
    await auth.set_active(user.id, True)
    assert await auth.authenticate_cookie(signed_in.token) is None


@pytest.mark.gen_test
async def test_signing_out_acts_at_once(auth: Auth) -> None:
    user = await auth.create_user()
    signed_in = await auth.sign_in(await auth.create_sign_in_code(user.id), None)
    assert signed_in is not None and await auth.authenticate_cookie(signed_in.token) == user
    await auth.sign_out(signed_in.token, "10.0.0.1")
    assert await auth.authenticate_cookie(signed_in.token) is None
    await auth.sign_out(signed_in.token)
    await auth.sign_out("unknown")
    assert [event.event_type for event in await auth.list_audit()].count("logout") == 1


@pytest.mark.gen_test
async def test_sweeping_deletes_what_ended(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    await auth.create_sign_in_code(user.id, ttl_s=60)
    kept = await auth.sign_in(await auth.create_sign_in_code(user.id), None)
    assert await auth.sweep() == 1
    clock.advance(61)
    assert await auth.sweep() == 1
    assert await auth.sweep() == 0
    assert kept is not None and await auth.authenticate_cookie(kept.token) == user
