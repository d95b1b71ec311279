"""The vault with a real database and real key files: what it keeps, and every way in which its key can be wrong."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from starpod.db.database import Database
from starpod.errors import InvalidInput, NotFound, Unavailable
from starpod.vault.service import Vault
from starpod.vault.store import reseal
from starpod.vault.types import SealedEntry
from tests.fakes import FakeClock

pytestmark = pytest.mark.gen_test
SECRET = "sk-the-secret-of-the-provider-1234"


async def opened(database: Database, folder: Path, environ: Mapping[str, str] | None = None) -> Vault:
    vault = Vault(database, folder, environ or {}, FakeClock())
    await vault.open()
    return vault


def leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".vault_key.*"))


def key_file(folder: Path) -> Path:
    return folder / ".vault_key"


async def test_a_secret_is_kept_sealed_and_read_again(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    assert not key_file(tmp_path).exists()
    await vault.set("OPENAI_API_KEY", SECRET, allowed_hosts=["API.openai.com"])
    await vault.set("SHORT", "pin")
    again = await opened(database, tmp_path)
    assert again.value("OPENAI_API_KEY") == SECRET
    assert again.names() == ("OPENAI_API_KEY", "SHORT")
    first, second = again.entries()
    assert (first.is_system, first.tail, first.allowed_hosts) == (True, "1234", ("api.openai.com",))
    assert (second.is_system, second.tail, second.allowed_hosts) == (False, None, None)
    assert stat.S_IMODE(key_file(tmp_path).stat().st_mode) == 0o600
    assert len(key_file(tmp_path).read_bytes()) == 32
    database.read_here(lambda connection: connection.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert SECRET.encode() not in (tmp_path / "core.db").read_bytes()
    assert SECRET not in repr(again.entries())


async def test_saving_again_keeps_the_hosts_and_deleting_forgets(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("TOKEN", "one", allowed_hosts=["a.example"])
    await vault.set("TOKEN", "two")
    assert vault.value("TOKEN") == "two"
    assert vault.entries()[0].allowed_hosts == ("a.example",)
    await vault.set_hosts("TOKEN", None)
    assert vault.entries()[0].allowed_hosts is None
    await vault.delete("TOKEN")
    assert vault.value("TOKEN") is None
    with pytest.raises(NotFound):
        await vault.delete("TOKEN")


async def test_secrets_lie_over_the_environment_of_the_gateway_only(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    environ = {"PATH": "/bin", "OPENAI_API_KEY": "older"}
    assert vault.over(environ) is environ
    await vault.set("OPENAI_API_KEY", SECRET)
    assert vault.over(environ) == {"PATH": "/bin", "OPENAI_API_KEY": SECRET}
    assert vault.over(environ) is vault.over(environ)
    assert "OPENAI_API_KEY" not in os.environ


@pytest.mark.parametrize(
    "name",
    ["PATH", "path", "LD_PRELOAD", "PYTHONPATH", "DYLD_INSERT_LIBRARIES", "HOME", "SHELL", "STARPOD_VAULT_KEY", "BASH_ENV",
     "HTTPS_PROXY", "GIT_SSH_COMMAND", "NODE_OPTIONS", "", "1A", "A B", "A-B", "A=B", "../x", "ÄPFEL", "A" * 129, "A\n"],
)  # fmt: skip
async def test_names_that_a_secret_may_not_have(database: Database, tmp_path: Path, name: str) -> None:
    vault = await opened(database, tmp_path)
    with pytest.raises(InvalidInput):
        await vault.set(name, "x")
    assert vault.names() == ()


@pytest.mark.parametrize("value", ["", "  \n", "a\0b", "x" * 65_537, "\ud800"])
async def test_values_that_cannot_be_kept(database: Database, tmp_path: Path, value: str) -> None:
    vault = await opened(database, tmp_path)
    with pytest.raises(InvalidInput):
        await vault.set("TOKEN", value)


@pytest.mark.parametrize("hosts", [["http://x"], ["a b"], [""], ["x"] * 101, ["*"], ["a.example/path"]])
async def test_hosts_that_are_none(database: Database, tmp_path: Path, hosts: list[str]) -> None:
    vault = await opened(database, tmp_path)
    with pytest.raises(InvalidInput):
        await vault.set("TOKEN", "x", allowed_hosts=hosts)


def _missing(path: Path) -> None:
    path.unlink()


def _short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:31])


def _long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def _readable(path: Path) -> None:
    path.chmod(0o644)


def _wrong(path: Path) -> None:
    path.write_bytes(os.urandom(32))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "cure"),
    [
        (_missing, "is missing: restore"),
        (_short, "must have 32 bytes"),
        (_long, "must have 32 bytes"),
        (_readable, "chmod 600"),
        (_wrong, "is not the one"),
        (_folder, "is no file"),
    ],
)
async def test_a_spoiled_key_file_is_refused_with_the_cure(
    database: Database, tmp_path: Path, spoil: object, cure: str
) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("TOKEN", SECRET)
    path = key_file(tmp_path)
    key = path.read_bytes()
    spoil(path)  # type: ignore[operator]
    shut = await opened(database, tmp_path)
    assert shut.problem is not None and cure in shut.problem and "\n" not in shut.problem
    assert str(tmp_path) not in shut.problem
    assert shut.value("TOKEN") is None
    for attempt in (shut.set("TOKEN", "new"), shut.set("OTHER", "new"), shut.rotate()):
        with pytest.raises(Unavailable, match=cure):
            await attempt
    if path.is_dir():
        path.rmdir()
    path.write_bytes(key)
    path.chmod(0o600)
    await shut.refresh()
    assert (shut.problem, shut.value("TOKEN")) == (None, SECRET)


async def test_a_lost_key_is_got_over_by_deleting_what_it_sealed(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("TOKEN", SECRET)
    key_file(tmp_path).unlink()
    shut = await opened(database, tmp_path)
    await shut.delete("TOKEN")
    await shut.set("TOKEN", "anew")
    assert (shut.problem, shut.value("TOKEN")) == (None, "anew")


@pytest.mark.parametrize("column", ["nonce", "sealed"])
async def test_a_changed_row_is_told_and_the_others_still_open(database: Database, tmp_path: Path, column: str) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("GOOD", "good")
    await vault.set("TOKEN", SECRET)
    sql = f"UPDATE vault_entries SET {column} = zeroblob(12) WHERE name = 'TOKEN'"
    database.run_here(lambda connection: connection.execute_sql(sql))
    spoiled = await opened(database, tmp_path)
    assert (spoiled.value("GOOD"), spoiled.value("TOKEN")) == ("good", None)
    assert [(entry.name, entry.is_damaged) for entry in spoiled.entries()] == [("GOOD", False), ("TOKEN", True)]
    with pytest.raises(Unavailable, match="TOKEN"):
        await spoiled.rotate()
    await spoiled.set("TOKEN", "again")
    assert spoiled.value("TOKEN") == "again"


async def test_a_value_moved_to_another_name_does_not_open(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("OPENAI_API_KEY", SECRET)
    sql = "UPDATE vault_entries SET name = 'WEBHOOK' WHERE name = 'OPENAI_API_KEY'"
    database.run_here(lambda connection: connection.execute_sql(sql))
    assert (await opened(database, tmp_path)).value("WEBHOOK") is None


async def test_a_changed_row_of_a_denied_name_never_reaches_the_environment(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("TOKEN", "x")
    database.run_here(lambda connection: connection.execute_sql("UPDATE vault_entries SET name = 'LD_PRELOAD'"))
    assert "LD_PRELOAD" not in (await opened(database, tmp_path)).over({"A": "b"})


@pytest.mark.parametrize("encoding", ["hex", "base64"])
async def test_the_key_may_come_from_the_environment(database: Database, tmp_path: Path, encoding: str) -> None:
    import base64

    key = os.urandom(32)
    environ = {"STARPOD_VAULT_KEY": key.hex() if encoding == "hex" else base64.b64encode(key).decode()}
    vault = await opened(database, tmp_path, environ)
    await vault.set("TOKEN", SECRET)
    assert not key_file(tmp_path).exists()
    assert (await opened(database, tmp_path, environ)).value("TOKEN") == SECRET
    other = await opened(database, tmp_path, {"STARPOD_VAULT_KEY": os.urandom(32).hex()})
    assert other.problem is not None and "STARPOD_VAULT_KEY" in other.problem
    unset = await opened(database, tmp_path)
    assert unset.problem is not None and "missing" in unset.problem


@pytest.mark.parametrize("text", ["short", "00" * 31, "zz" * 32, "\u00e9" * 44])
async def test_an_unusable_key_in_the_environment(database: Database, tmp_path: Path, text: str) -> None:
    vault = await opened(database, tmp_path, {"STARPOD_VAULT_KEY": text})
    assert vault.problem is not None and "openssl rand -hex 32" in vault.problem and text not in vault.problem


async def test_another_process_changes_secrets_and_key(database: Database, tmp_path: Path) -> None:
    gateway, other = await opened(database, tmp_path), await opened(database, tmp_path)
    await other.set("TOKEN", "one")
    await gateway.refresh()
    assert gateway.value("TOKEN") == "one"
    assert await other.rotate() == 1
    # Not refreshed: what it seals with the older key must not reach the rows.
    await gateway.set("SECOND", "two")
    third = await opened(database, tmp_path)
    assert (third.problem, third.value("TOKEN"), third.value("SECOND")) == (None, "one", "two")


async def test_rotation_changes_key_and_every_row(database: Database, tmp_path: Path) -> None:
    vault = await opened(database, tmp_path)
    await vault.set("A", "one")
    await vault.set("B", "two")
    before = key_file(tmp_path).read_bytes()
    assert await vault.rotate() == 2
    assert key_file(tmp_path).read_bytes() != before
    assert stat.S_IMODE(key_file(tmp_path).stat().st_mode) == 0o600
    again = await opened(database, tmp_path)
    assert (again.problem, again.value("A"), again.value("B")) == (None, "one", "two")
    assert not leftovers(tmp_path)


async def test_rotation_of_a_key_from_the_environment(database: Database, tmp_path: Path) -> None:
    old, new = os.urandom(32).hex(), os.urandom(32).hex()
    vault = await opened(database, tmp_path, {"STARPOD_VAULT_KEY": old})
    await vault.set("A", "one")
    with pytest.raises(InvalidInput, match="STARPOD_VAULT_NEW_KEY"):
        await vault.rotate()
    rotating = await opened(database, tmp_path, {"STARPOD_VAULT_KEY": old, "STARPOD_VAULT_NEW_KEY": new})
    assert await rotating.rotate() == 1
    assert (await opened(database, tmp_path, {"STARPOD_VAULT_KEY": new})).value("A") == "one"


@pytest.mark.parametrize("step", ["key written", "rows sealed"])
async def test_a_rotation_that_was_cut_off_is_mended_at_the_next_start(
    database: Database, tmp_path: Path, step: str
) -> None:
    from starpod.auth.types import OPERATOR
    from starpod.vault.cipher import Cipher
    from starpod.vault.keyfile import KeyFile

    vault = await opened(database, tmp_path)
    await vault.set("A", "one")
    key, following = key_file(tmp_path).read_bytes(), os.urandom(32)
    KeyFile(tmp_path, {}).prepare(following)
    if step == "rows sealed":

        def again(entry: SealedEntry) -> tuple[bytes, bytes]:
            return Cipher(following).seal(entry.name, Cipher(key).open(entry.name, entry.nonce, entry.sealed) or "")

        database.run_here(reseal, again, Cipher(following).key_id, now=FakeClock().now(), actor=OPERATOR)
    mended = await opened(database, tmp_path)
    assert (mended.problem, mended.value("A")) == (None, "one")
    assert key_file(tmp_path).read_bytes() == (key if step == "key written" else following)
    assert not leftovers(tmp_path)
