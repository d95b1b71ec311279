"""Hands out what is kept about a person, and erases it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import shutil
import zipfile
from datetime import datetime
from pathlib import Path

from starpod.db.database import Database
from starpod.errors import Conflict, InvalidInput, NotFound
from starpod.memory.index import remove_index
from starpod.memory.places import user_folder
from starpod.paths import Paths
from starpod.people import store
from starpod.sessions.service import Sessions
from starpod.sessions.types import Viewer

READ_ME = """# What {agent} keeps about you

As of {now}.

- `data/*.json`: profile, keys (without the secrets), jobs, usage and the like, as they are stored.
- `sessions/*.json`: every conversation, deleted ones too; `sessions/*.md`: the same to read, without deleted ones.
- `files/`: your memory files and your home.
"""


def new_alias() -> str:
    """A name that says nothing about anybody."""
    return f"erased-{secrets.token_hex(8)}"


async def export(database: Database, paths: Paths, user_id: str, target: Path, now: datetime) -> int:
    """Write everything of a user into a new zip file, readable for its owner only; returns how many files it holds.

    Conflict when the file exists. Nothing is left there when it fails.
    """
    if await asyncio.to_thread(target.exists):
        raise Conflict(f"{target.name} exists already; name another file")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with (
            os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive,
        ):
            await _write(archive, database, paths, user_id, now)
            count = len(archive.namelist())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return count


async def erase(database: Database, paths: Paths, user_id: str, now: datetime) -> int:
    """Delete everything of a user from database and disk; the search indexes are removed, and built again at the next start.

    The gateway must be stopped. Returns how many sessions that were.
    """
    count = await database.run(store.erase, user_id, new_alias(), now)
    await database.read(store.scrub)
    await asyncio.to_thread(_remove_files, paths, user_id)
    return count


def _remove_files(paths: Paths, user_id: str) -> None:
    folder = user_folder(paths, user_id)
    if folder.exists():
        shutil.rmtree(folder)
    for name in ("memory.db", "vectors.db"):
        remove_index(paths.db_dir / name)


async def _write(archive: zipfile.ZipFile, database: Database, paths: Paths, user_id: str, now: datetime) -> None:
    archive.writestr("README.md", READ_ME.format(agent="this agent", now=now.isoformat(timespec="seconds")))
    sessions, viewer = Sessions(database), Viewer(user_id)
    for name in store.TABLES:
        found = await database.read(store.rows, name, user_id)
        archive.writestr(f"data/{name}.json", json.dumps(found, ensure_ascii=False, indent=1, default=str))
        if name != "sessions":
            continue
        for session in found:
            session_id = str(session["id"])
            said = await database.read(lambda connection, id_: list(store.messages(connection, id_)), session_id)
            columns = ("id", "role", "content", "timestamp", "turn_id")
            body = {"session": session, "messages": [dict(zip(columns, row, strict=True)) for row in said]}
            archive.writestr(f"sessions/{session_id}.json", json.dumps(body, ensure_ascii=False, indent=1, default=str))
            try:
                _, pieces = await sessions.export(viewer, session_id, "markdown")
            except NotFound:
                continue  # deleted, and not yet for good
            with io.BytesIO() as text:
                async for piece in pieces:
                    text.write(piece)
                archive.writestr(f"sessions/{session_id}.md", text.getvalue())
    await asyncio.to_thread(_write_files, archive, paths, user_id)


def _write_files(archive: zipfile.ZipFile, paths: Paths, user_id: str) -> None:
    try:
        folder = user_folder(paths, user_id)
    except InvalidInput:
        return
    for path in sorted(folder.rglob("*")):
        # A link may lead to files that are not theirs.
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(folder.resolve()):
            archive.write(path, f"files/{path.relative_to(folder).as_posix()}")
