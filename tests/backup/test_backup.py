"""`starpod backup` and `starpod restore` on a real agent: what comes back, and that bad archives change nothing."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from starpod.backup.types import MANIFEST
from starpod.cli import main
from starpod.db.database import Database
from starpod.db.lock import GatewayLock
from starpod.db.migrate import migrate
from starpod.paths import resolve_paths

Members = dict[str, bytes]


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """An agent with a user, a vault key, a memory file, a file in its home and a link that leads out of it."""
    root = tmp_path / "agent"
    assert main(["init", "--dir", str(root)]) == 0
    paths = resolve_paths(root)
    paths.db_dir.mkdir(parents=True, exist_ok=True)
    database = Database(paths.core_db)
    migrate(database)
    database.close()
    (paths.db_dir / ".vault_key").write_bytes(bytes(32))
    (paths.db_dir / ".vault_key").chmod(0o600)
    (paths.users_dir / "admin").mkdir(parents=True, exist_ok=True)
    (paths.users_dir / "admin" / "MEMORY.md").write_text("The cat is called Miso.\n")
    paths.home_dir.mkdir(exist_ok=True)
    (paths.home_dir / "letter.txt").write_text("Dear Ada")
    (tmp_path / "outside.txt").write_text("not the agent's")
    (paths.home_dir / "link").symlink_to(tmp_path / "outside.txt")
    with closing(sqlite3.connect(paths.db_dir / "notes.db")) as notes, notes:
        notes.execute("CREATE TABLE pairs (a INTEGER, b INTEGER)")
        notes.execute("INSERT INTO pairs VALUES (0, 0)")
    return root


@pytest.fixture
def archive(agent: Path, tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar.gz"
    assert main(["backup", str(path), "--dir", str(agent)]) == 0
    return path


def state_of(root: Path) -> Members:
    """Every file below the folder; the lock's is no data."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.name != "gateway.lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def rewrite(archive: Path, change: Callable[[Members], None], *, seal: bool = False) -> None:
    """Write the archive again with other members; `seal` also makes its manifest fit them."""
    with tarfile.open(archive) as old:
        members = {member.name: old.extractfile(member).read() for member in old}  # type: ignore[union-attr]
    change(members)
    if seal:
        manifest = json.loads(members.pop(MANIFEST))
        manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
        members[MANIFEST] = json.dumps(manifest).encode()
    with tarfile.open(archive, "w:gz") as new:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            new.addfile(info, io.BytesIO(content))


def test_a_restored_agent_is_the_one_that_was_backed_up(agent: Path, archive: Path, tmp_path: Path) -> None:
    assert archive.stat().st_mode & 0o777 == 0o600
    target = tmp_path / "new"
    assert main(["restore", str(archive), "--dir", str(target)]) == 0
    before, after = resolve_paths(agent), resolve_paths(target)
    assert (after.users_dir / "admin" / "MEMORY.md").read_text() == "The cat is called Miso.\n"
    assert (after.home_dir / "letter.txt").read_text() == "Dear Ada"
    assert not (after.home_dir / "link").exists()
    assert after.agent_toml.read_bytes() == before.agent_toml.read_bytes()
    key = after.db_dir / ".vault_key"
    assert (key.read_bytes(), key.stat().st_mode & 0o777) == (bytes(32), 0o600)
    for folder in (after.users_dir, after.users_dir / "admin", after.home_dir):
        assert folder.stat().st_mode & 0o077 == 0, folder
    database = Database(after.core_db)
    try:
        assert migrate(database) == []
    finally:
        database.close()


def test_what_was_there_is_moved_aside(agent: Path, archive: Path) -> None:
    letter = resolve_paths(agent).home_dir / "letter.txt"
    letter.write_text("changed since")
    assert main(["restore", str(archive), "--dir", str(agent)]) == 0
    assert letter.read_text() == "Dear Ada"
    (aside,) = agent.glob("home.replaced-*")
    assert (aside / "letter.txt").read_text() == "changed since"


def test_the_copy_of_a_database_that_is_being_written_is_one_moment(agent: Path, tmp_path: Path) -> None:
    path = resolve_paths(agent).db_dir / "notes.db"
    stop, busy = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as notes:
            notes.execute("PRAGMA journal_mode = WAL")
            number = 0
            while not stop.is_set():
                number += 1
                notes.execute("BEGIN IMMEDIATE")
                notes.execute("INSERT INTO pairs VALUES (?, 0)", (number,))
                notes.execute("UPDATE pairs SET b = ?", (number,))
                notes.execute("COMMIT")
                busy.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert busy.wait(10)
        assert main(["backup", str(tmp_path / "live.tar.gz"), "--dir", str(agent)]) == 0
    finally:
        stop.set()
        writer.join(10)
    assert main(["restore", str(tmp_path / "live.tar.gz"), "--dir", str(tmp_path / "new")]) == 0
    db_dir = resolve_paths(tmp_path / "new").db_dir
    assert not list(db_dir.glob("*-wal"))
    with closing(sqlite3.connect(db_dir / "notes.db")) as notes:
        count, newest, low, high = notes.execute("SELECT count(*), max(a), min(b), max(b) FROM pairs").fetchone()
    assert count == newest + 1
    assert low == high == newest


def cut(archive: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])


def flip(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)


def foreign(archive: Path) -> None:
    archive.write_bytes(b"PK\x03\x04 something else" * 50)


def other_content(archive: Path) -> None:
    rewrite(archive, lambda members: members.update({"home/letter.txt": b"Dear Eve"}))


def one_missing(archive: Path) -> None:
    rewrite(archive, lambda members: members.pop("home/letter.txt") and None)


def no_manifest(archive: Path) -> None:
    rewrite(archive, lambda members: members.pop(MANIFEST) and None)


def escaping(archive: Path) -> None:
    rewrite(archive, lambda members: members.update({"home/../../evil": b"x"}), seal=True)


def absolute(archive: Path) -> None:
    rewrite(archive, lambda members: members.update({"/etc/evil": b"x"}), seal=True)


def newer_format(archive: Path) -> None:
    def change(members: Members) -> None:
        members[MANIFEST] = json.dumps(json.loads(members[MANIFEST]) | {"format": 99}).encode()

    rewrite(archive, change)


def newer_schema(archive: Path) -> None:
    def change(members: Members) -> None:
        work = archive.with_name("newer.db")
        work.write_bytes(members[".starpod/db/core.db"])
        with closing(sqlite3.connect(work)) as core, core:
            core.execute("INSERT INTO schema_version (number) VALUES (9999)")
        members[".starpod/db/core.db"] = work.read_bytes()

    rewrite(archive, change, seal=True)


def damaged_database(archive: Path) -> None:
    def change(members: Members) -> None:
        content = bytearray(members[".starpod/db/core.db"])
        content[4096:20480] = b"\xa5" * 16384
        members[".starpod/db/core.db"] = bytes(content)

    rewrite(archive, change, seal=True)


def without_core(archive: Path) -> None:
    rewrite(archive, lambda members: members.pop(".starpod/db/core.db") and None, seal=True)


BAD = (
    cut, flip, foreign, other_content, one_missing, no_manifest, escaping, absolute, newer_format, newer_schema,
    damaged_database, without_core,
)  # fmt: skip


@pytest.mark.parametrize("spoil", BAD)
def test_a_bad_archive_is_refused_and_nothing_is_touched(
    agent: Path, archive: Path, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(archive)
    before = state_of(agent)
    capsys.readouterr()
    assert main(["restore", str(archive), "--dir", str(agent)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert state_of(agent) == before
    assert {path.name for path in agent.iterdir()} == {".starpod", "home"}


def test_a_running_gateway_is_not_restored_over(agent: Path, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = GatewayLock(resolve_paths(agent).db_dir)
    lock.acquire()
    try:
        assert main(["restore", str(archive), "--dir", str(agent)]) == 2
    finally:
        lock.release()
    assert "already running" in capsys.readouterr().err


def test_an_existing_file_is_never_overwritten(agent: Path, archive: Path) -> None:
    before = archive.read_bytes()
    assert main(["backup", str(archive), "--dir", str(agent)]) == 2
    assert archive.read_bytes() == before
