"""The first start: one admin, whose key is made or taken from the environment."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from pathlib import Path

import pytest

from starpod.auth.service import Auth
from starpod.db.database import Database
from starpod.errors import InvalidInput
from tests.auth.support import CountingHasher
from tests.fakes import FakeClock

CHOSEN = "correct horse battery staple"


@pytest.mark.gen_test
async def test_the_first_start_makes_an_admin_with_a_key(auth: Auth) -> None:
    assert await auth.has_users() is False
    made = await auth.bootstrap({})
    assert made is not None and not made.imported
    assert re.fullmatch(r"sp_live_[0-9a-f]{40}", made.clear_key)
    assert (made.user.display_name, made.user.role, made.user.email, made.user.filesystem_enabled) == (
        "Admin",
        "admin",
        None,
        True,
    )
    assert made.api_key.label == "Auto-generated admin key"
    assert made.api_key.prefix == made.clear_key[8:16]
    assert await auth.authenticate(made.clear_key) == made.user
    assert await auth.has_users() is True
    [event] = await auth.list_audit()
    assert (event.event_type, event.detail, event.user_id) == ("bootstrap", "Admin user created", made.user.id)


@pytest.mark.gen_test
async def test_a_chosen_key_is_imported(auth: Auth) -> None:
    made = await auth.bootstrap({"STARPOD_API_KEY": CHOSEN})
    assert made is not None and made.imported and made.clear_key == CHOSEN
    assert made.api_key.label == "Imported from STARPOD_API_KEY"
    assert made.api_key.prefix == "correct "
    assert await auth.authenticate(CHOSEN) == made.user
    assert await auth.authenticate(CHOSEN + "!") is None


@pytest.mark.gen_test
async def test_an_imported_key_is_stored_as_argon2id(database: Database, clock: FakeClock, tmp_path: Path) -> None:
    auth = Auth(database, clock)
    await auth.bootstrap({"STARPOD_API_KEY": CHOSEN})
    assert await auth.authenticate("correct horse battery stapler") is None
    user = await auth.authenticate(CHOSEN)
    assert user is not None and user.role == "admin"
    auth.close()
    connection = sqlite3.connect(tmp_path / "core.db")
    [(stored,)] = connection.execute("SELECT key_hash FROM api_keys")
    connection.close()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


@pytest.mark.parametrize(
    ("key", "start"),
    [("sp_live_" + "0123456789abcdef" * 2 + "01234567", "sha256:"), ("sp_live_" + "0" * 40, "$quick$")],
)
@pytest.mark.gen_test
async def test_only_a_key_that_was_made_by_chance_needs_no_slow_hash(
    database: Database, clock: FakeClock, tmp_path: Path, key: str, start: str
) -> None:
    auth = Auth(database, clock, hasher=CountingHasher())
    await auth.bootstrap({"STARPOD_API_KEY": key})
    assert await auth.authenticate(key) is not None
    auth.close()
    connection = sqlite3.connect(tmp_path / "core.db")
    [(stored,)] = connection.execute("SELECT key_hash FROM api_keys")
    connection.close()
    assert stored.startswith(start)


@pytest.mark.gen_test
async def test_a_second_start_changes_nothing(auth: Auth, other_process: Auth) -> None:
    first = await auth.bootstrap({"STARPOD_API_KEY": CHOSEN})
    assert await auth.bootstrap({"STARPOD_API_KEY": CHOSEN}) is None
    assert await other_process.bootstrap({"STARPOD_API_KEY": "another key of theirs"}) is None
    assert first is not None and await other_process.list_users() == [first.user]
    assert await auth.authenticate("another key of theirs") is None
    assert [event.event_type for event in await auth.list_audit()] == ["bootstrap"]


@pytest.mark.gen_test
async def test_two_processes_that_start_together_make_one_admin(auth: Auth, other_process: Auth) -> None:
    made = await asyncio.gather(auth.bootstrap({}), other_process.bootstrap({}))
    assert sorted(one is None for one in made) == [False, True]
    assert len(await auth.list_users()) == 1


@pytest.mark.parametrize("key", ["schlüssel", "k" * 257, "tab\tin it"])
@pytest.mark.gen_test
async def test_a_key_that_no_client_could_send_is_refused(auth: Auth, key: str) -> None:
    with pytest.raises(InvalidInput, match="STARPOD_API_KEY"):
        await auth.bootstrap({"STARPOD_API_KEY": key})
    assert await auth.has_users() is False


@pytest.mark.gen_test
async def test_the_key_is_neither_logged_nor_printed(auth: Auth, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made = await auth.bootstrap({"STARPOD_API_KEY": "tiny-secret"})
    assert made is not None
    assert "tiny-secret" not in caplog.text and "short enough" in caplog.text
    assert "tiny-secret" not in repr(made)
    assert made.api_key.prefix == "tiny-s"


@pytest.mark.gen_test
async def test_the_slow_hash_runs_once_for_a_process(auth: Auth, clock: FakeClock, hasher: CountingHasher) -> None:
    await auth.bootstrap({"STARPOD_API_KEY": CHOSEN})
    for _ in range(5):
        assert await auth.authenticate(CHOSEN) is not None
        clock.advance(3)
    assert hasher.checks == 1
    [user] = await auth.list_users()
    await auth.create_user(role="admin")
    key, _ = await auth.create_key(user.id)
    await auth.revoke_key(key.id)
    assert await auth.authenticate(CHOSEN) is not None
    assert hasher.checks == 2


@pytest.mark.gen_test
async def test_callers_who_come_together_wait_for_one_check(auth: Auth, hasher: CountingHasher) -> None:
    await auth.bootstrap({"STARPOD_API_KEY": CHOSEN})
    hasher.gate.clear()
    callers = [asyncio.ensure_future(auth.authenticate(CHOSEN)) for _ in range(20)]
    await asyncio.wait(callers, timeout=0.1)
    callers[0].cancel()
    hasher.gate.set()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(getattr(answer, "role", None) == "admin" for answer in answers[1:])
    assert hasher.checks == 1


@pytest.mark.gen_test
async def test_a_flood_of_guesses_waits_for_no_more_than_a_few(auth: Auth, hasher: CountingHasher) -> None:
    await auth.bootstrap({"STARPOD_API_KEY": CHOSEN})
    hasher.gate.clear()
    guesses = [asyncio.ensure_future(auth.authenticate(f"{CHOSEN[:8]} guess {number}")) for number in range(60)]
    done, _ = await asyncio.wait(guesses, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert {type(task.exception()).__name__ for task in done} == {"Unavailable"}
    hasher.gate.set()
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert None in answers and hasher.checks < 60
