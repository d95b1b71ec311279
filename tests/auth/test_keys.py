"""Keys: who they let in, for how long, and what ends them."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from starpod.auth import credentials, store
from starpod.auth.service import Auth
from starpod.auth.types import MISS, Actor, NewKey, UserChanges
from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.errors import InvalidInput, NotFound, Unavailable
from tests.fakes import FakeClock


@pytest.mark.gen_test
async def test_a_key_lets_its_user_in_and_is_shown_once(auth: Auth) -> None:
    user = await auth.create_user("ada@example.org", "Ada")
    meta, key = await auth.create_key(user.id, "laptop", actor=Actor("boss", "10.0.0.1"))
    assert auth.cached(key) is MISS
    assert await auth.authenticate(key) == user
    assert auth.cached(key) == user
    assert await auth.list_keys(user.id) == [meta]
    assert (meta.user_id, meta.prefix, meta.label) == (user.id, key[8:16], "laptop")
    event = (await auth.list_audit(1))[0]
    assert (event.event_type, event.user_id, event.ip_address) == ("api_key_created", user.id, "10.0.0.1")
    assert event.detail == f"key {meta.id}; by boss"


@pytest.mark.gen_test
async def test_the_database_holds_no_key_in_clear(auth: Auth, tmp_path: Path) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id)
    code = await auth.create_sign_in_code(user.id)
    signed_in = await auth.sign_in(key, None)
    assert signed_in is not None
    connection = sqlite3.connect(tmp_path / "core.db")
    dump = "\n".join(connection.iterdump())
    connection.close()
    assert "sha256:" in dump
    assert all(secret not in dump for secret in (key, code, signed_in.token))


@pytest.mark.gen_test
async def test_keys_are_listed_newest_first(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    first, _ = await auth.create_key(user.id)
    clock.advance(1)
    second, _ = await auth.create_key(user.id)
    assert await auth.list_keys(user.id) == [second, first]
    assert await auth.list_keys("nobody") == []


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        "sp_live_",
        "sp_live_" + "0" * 40,
        "x" * 257,
        "x" * 10_000_000,
        "schlüssel",
        "sp_live_é",
        "\x00",
        "\ud800",
        "💥" * 20,
    ],
)
@pytest.mark.gen_test
async def test_what_is_no_key_lets_nobody_in(auth: Auth, key: str) -> None:
    user = await auth.create_user()
    await auth.create_key(user.id)
    assert await auth.authenticate(key) is None
    assert auth.cached(key) is None
    assert await auth.authenticate_cookie(key) is None
    assert await auth.sign_in(key, "10.0.0.1") is None
    await auth.sign_out(key)


@pytest.mark.gen_test
async def test_revoking_acts_at_once(auth: Auth) -> None:
    user = await auth.create_user()
    meta, key = await auth.create_key(user.id)
    assert await auth.authenticate(key) == user
    revoked = await auth.revoke_key(meta.id)
    assert revoked.revoked_at is not None
    assert auth.cached(key) is MISS
    assert await auth.authenticate(key) is None
    assert await auth.revoke_key(meta.id) == revoked
    assert [event.event_type for event in await auth.list_audit()].count("api_key_revoked") == 1
    with pytest.raises(NotFound):
        await auth.revoke_key("unknown")


@pytest.mark.gen_test
async def test_an_answer_looked_up_before_a_revoke_is_not_remembered(auth: Auth) -> None:
    user = await auth.create_user()
    meta, key = await auth.create_key(user.id)
    await asyncio.gather(auth.authenticate(key), auth.revoke_key(meta.id), auth.authenticate(key))
    assert await auth.authenticate(key) is None


@pytest.mark.gen_test
async def test_a_revoke_by_another_process_acts_within_two_seconds(
    auth: Auth, other_process: Auth, clock: FakeClock
) -> None:
    user = await auth.create_user()
    meta, key = await auth.create_key(user.id)
    assert await auth.authenticate(key) == user
    await other_process.revoke_key(meta.id)
    clock.advance(2)
    assert auth.cached(key) is MISS
    assert await auth.authenticate(key) is None


@pytest.mark.gen_test
async def test_a_key_expires_to_the_moment(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id, expires_at=clock.now() + timedelta(seconds=60))
    clock.advance(59.5)
    assert await auth.authenticate(key) == user
    clock.advance(0.5)
    assert auth.cached(key) is MISS
    assert await auth.authenticate(key) is None


@pytest.mark.parametrize("past", [datetime(2020, 1, 1).astimezone(), datetime(2099, 1, 1)])  # noqa: DTZ001
@pytest.mark.gen_test
async def test_a_key_that_would_never_work_is_refused(auth: Auth, past: datetime) -> None:
    user = await auth.create_user()
    with pytest.raises(InvalidInput) as caught:
        await auth.create_key(user.id, expires_at=past)
    assert "expires_at" in caught.value.fields
    with pytest.raises(NotFound, match="User not found"):
        await auth.create_key("nobody")


@pytest.mark.gen_test
async def test_a_deactivated_user_is_out_at_once_and_may_come_back(auth: Auth) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id)
    assert await auth.authenticate(key) == user
    await auth.set_active(user.id, False)
    assert await auth.authenticate(key) is None
    await auth.set_active(user.id, True)
    assert await auth.authenticate(key) is not None


@pytest.mark.gen_test
async def test_a_new_role_is_seen_at_once(auth: Auth) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id)
    await auth.authenticate(key)
    await auth.update_user(user.id, UserChanges(role="admin", filesystem_enabled=True))
    seen = await auth.authenticate(key)
    assert seen is not None and (seen.role, seen.filesystem_enabled) == ("admin", True)


@pytest.mark.gen_test
async def test_last_use_is_written_once_a_minute(auth: Auth, clock: FakeClock) -> None:
    user = await auth.create_user()
    meta, key = await auth.create_key(user.id)
    started = clock.now()
    await auth.authenticate(key)
    assert (await auth.list_keys(user.id))[0] == meta
    await auth.flush()
    assert (await auth.list_keys(user.id))[0].last_used_at == started
    clock.advance(30)
    await auth.authenticate(key)
    await auth.flush()
    assert (await auth.list_keys(user.id))[0].last_used_at == started
    clock.advance(30)
    await auth.authenticate(key)
    await auth.flush()
    assert (await auth.list_keys(user.id))[0].last_used_at == started + timedelta(seconds=60)


@pytest.mark.gen_test
async def test_last_use_survives_a_locked_database(auth: Auth, clock: FakeClock, tmp_path: Path) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id)
    await auth.authenticate(key)
    blocker = sqlite3.connect(tmp_path / "core.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await auth.flush()
    blocker.execute("ROLLBACK")
    blocker.close()
    await auth.flush()
    assert (await auth.list_keys(user.id))[0].last_used_at == clock.now()


@pytest.mark.gen_test
async def test_a_database_locked_for_writing_is_unavailable(auth: Auth, tmp_path: Path) -> None:
    user = await auth.create_user()
    _, key = await auth.create_key(user.id)
    blocker = sqlite3.connect(tmp_path / "core.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await auth.create_user()
    with pytest.raises(Unavailable):
        await auth.sign_in(key, "10.0.0.1")
    assert await auth.authenticate(key) == user
    blocker.execute("ROLLBACK")
    blocker.close()
    assert await auth.sign_in(key, "10.0.0.1") is not None


@pytest.mark.gen_test
async def test_a_database_locked_for_everybody_is_unavailable_and_never_open(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "core.db"
    first = Database(path)
    migrate(first)
    key = credentials.new_key()
    new = NewKey(credentials.key_prefix(key), credentials.key_hash(key), None)
    user, _ = first.run_here(store.bootstrap, new, clock.now()) or pytest.fail("there was a user already")
    first.close()
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("PRAGMA locking_mode = EXCLUSIVE")
    blocker.execute("BEGIN EXCLUSIVE")
    blocker.execute("UPDATE users SET display_name = 'Ada'")
    database = Database(path, busy_timeout_ms=50)
    auth = Auth(database, clock)
    try:
        for check in (auth.has_users(), auth.authenticate(key), auth.authenticate_cookie("cookie"), auth.bootstrap({})):
            with pytest.raises(Unavailable):
                await check
        assert auth.cached(key) is MISS
        blocker.execute("ROLLBACK")
        blocker.close()
        assert await auth.has_users() is True
        assert await auth.authenticate(key) == user
    finally:
        blocker.close()
        auth.close()
        database.close()


@pytest.mark.gen_test
async def test_a_database_without_tables_is_unavailable_and_never_open(tmp_path: Path, clock: FakeClock) -> None:
    database = Database(tmp_path / "empty.db")
    auth = Auth(database, clock)
    try:
        with pytest.raises(Unavailable):
            await auth.has_users()
        with pytest.raises(Unavailable):
            await auth.authenticate("sp_live_" + "0" * 40)
        with pytest.raises(Unavailable):
            await auth.authenticate_cookie("cookie")
        with pytest.raises(Unavailable):
            await auth.bootstrap({})
    finally:
        auth.close()
        database.close()


@pytest.mark.gen_test
async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "broken.db").write_bytes(b"this is no database at all " * 100)
    database = Database(tmp_path / "broken.db")
    auth = Auth(database, clock)
    try:
        with pytest.raises(Unavailable):
            await auth.has_users()
    finally:
        auth.close()
        database.close()
