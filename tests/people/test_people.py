"""What is kept about a person can be taken along, and erased without a trace."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import stat
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from starpod.cli import main
from starpod.db.lock import GatewayLock
from starpod.paths import resolve_paths
from tests.gateway import Gateway

MARK = "heliotrope"
KEPT = "marigold"


async def live(root: Path) -> tuple[str, str]:
    """An agent where an admin and a user left something everywhere; returns the user's id and key."""
    async with Gateway(root) as gateway:
        user, key = await gateway.user(name=f"Ada {MARK}")
        client = gateway.client(key)
        (await client.post("/api/chat", json={"text": f"My word is {MARK}."})).raise_for_status()
        (await gateway.http.post("/api/chat", json={"text": f"My word is {KEPT}."})).raise_for_status()
        body = {"file": "MEMORY.md", "content": f"{MARK}\n"}
        (await client.put("/api/memory/files", json=body)).raise_for_status()
        job = {"name": MARK, "prompt": MARK, "schedule": {"kind": "interval", "every_ms": 3_600_000}}
        (await client.post("/api/cron/jobs", json=job)).raise_for_status()
        home = gateway.state.paths.users_dir / user.id / "home"
        home.mkdir(parents=True, exist_ok=True)
        (home / "letter.txt").write_text(MARK)
        (home / "link").symlink_to(gateway.state.paths.agent_toml)
        await gateway.state.sessions.index()
        return user.id, key


def core(root: Path) -> sqlite3.Connection:
    return sqlite3.connect(resolve_paths(root).core_db)


def bytes_with(root: Path, word: str) -> list[str]:
    """The files of the agent that hold a word anywhere, also in pages that are no longer used."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and word.encode() in path.read_bytes()
    )


@pytest.mark.gen_test
async def test_everything_of_a_person_is_in_the_zip_and_nothing_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "agent"
    root.mkdir()
    user_id, key = await live(root)
    capsys.readouterr()
    target = tmp_path / "ada.zip"
    assert await asyncio.to_thread(main, ["export", user_id[:8], str(target), "--dir", str(root)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert json.loads(texts["data/profile.json"])[0]["id"] == user_id
    assert MARK in texts["files/MEMORY.md"] and MARK in texts["files/home/letter.txt"]
    assert "files/home/link" not in texts
    assert json.loads(texts["data/jobs.json"])[0]["name"] == MARK
    (markdown,) = [text for name, text in texts.items() if name.startswith("sessions/") and name.endswith(".md")]
    (session,) = [text for name, text in texts.items() if name.startswith("sessions/") and name.endswith(".json")]
    assert MARK in markdown and MARK in session
    assert not any(secret in text for text in texts.values() for secret in (KEPT, key, "key_hash"))
    said = capsys.readouterr()
    assert said.err.splitlines() == [f"writing {target}"]
    assert said.out.splitlines()[-1] == f"wrote {len(texts)} files to {target}"
    # An existing file is never overwritten.
    assert await asyncio.to_thread(main, ["export", user_id, str(target), "--dir", str(root)]) == 2


@pytest.mark.gen_test
async def test_without_a_name_the_zip_is_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, here = tmp_path / "agent", tmp_path / "here"
    root.mkdir()
    here.mkdir()
    user_id, _ = await live(root)
    monkeypatch.chdir(here)
    assert await asyncio.to_thread(main, ["export", user_id, "--dir", str(root)]) == 0
    (made,) = here.iterdir()
    assert made.name.startswith(f"starpod-{user_id[:8]}-") and f"writing {made}\n" in capsys.readouterr().err


@pytest.mark.gen_test
async def test_nothing_of_an_erased_person_is_left_and_sums_stay(tmp_path: Path) -> None:
    root = tmp_path / "agent"
    root.mkdir()
    user_id, key = await live(root)
    with closing(core(root)) as database:
        before = database.execute("SELECT count(*), sum(input_tokens) FROM usage_stats").fetchone()
    assert bytes_with(root, MARK)
    assert await asyncio.to_thread(main, ["erase", user_id, "--yes", "--dir", str(root)]) == 0
    assert bytes_with(root, MARK) == bytes_with(root, user_id) == []
    assert bytes_with(root, KEPT)
    with closing(core(root)) as database:
        assert database.execute("SELECT count(*), sum(input_tokens) FROM usage_stats").fetchone() == before
        audit = database.execute("SELECT user_id, event_type, detail FROM auth_audit_log ORDER BY id DESC").fetchone()
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    assert audit[0].startswith("erased-") and audit[1:] == ("user_deleted", "all data erased, 1 sessions")
    async with Gateway(root) as gateway:
        assert (await gateway.client(key).get("/api/sessions")).status_code == 401
        sessions = (await gateway.http.get("/api/sessions")).json()
        assert len(sessions) == 1
        await gateway.state.memory_index.ready()
        found = (await gateway.http.get("/api/memory/search", params={"q": KEPT})).json()
        assert found and MARK not in str(found)


@pytest.mark.gen_test
async def test_erasing_asks_and_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id, _ = await live(tmp_path)
    folder = ["--dir", str(tmp_path)]

    async def run(*arguments: str) -> int:
        return await asyncio.to_thread(main, [*arguments, *folder])

    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))
    assert await run("erase", user_id) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert await run("erase", user_id) != 0
    with closing(core(tmp_path)) as database:
        (admin,) = database.execute("SELECT id FROM users WHERE role = 'admin'").fetchone()
    assert await run("erase", admin, "--yes") == 2
    assert await run("erase", "nobody-of-that-name", "--yes") == 2
    lock = GatewayLock(resolve_paths(tmp_path).db_dir)
    lock.acquire()
    try:
        assert await run("erase", user_id, "--yes") == 2
    finally:
        lock.release()
    with closing(core(tmp_path)) as database:
        assert database.execute("SELECT count(*) FROM users").fetchone() == (2,)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{user_id}\n"))
    assert await run("erase", user_id) == 0
