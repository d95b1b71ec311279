"""SQL of earlier versions. Contents are kept compressed, bounded by number and by bytes."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any

import peewee

from starpod.clock import format_time
from starpod.memory.versions import Version, Writer

KEPT_VERSIONS = 100
"""Versions of one file that are kept; older ones go."""
KEPT_BYTES = 32 * 1_048_576
"""Compressed bytes of all versions of one owner; beyond it the oldest go, whichever file they are of."""


def add_version(
    connection: peewee.Database,
    *,
    owner: str | None,
    file: str,
    content: bytes,
    content_hash: str,
    writer: Writer | None,
    earlier: tuple[bytes, str] | None,
    now: datetime,
) -> int:
    """Record that a file gets `content`; `earlier` is the content and hash before, recorded as an edit by hand if not known yet.

    Returns the number of the new version. `writer` is None for an edit by hand.
    """
    if earlier is not None and newest_hash(connection, owner, file) != earlier[1]:
        _insert(connection, owner, file, earlier[0], earlier[1], None, now)
    version = _insert(connection, owner, file, content, content_hash, writer, now)
    _forget_old(connection, owner, file)
    return version


def remove_version(connection: peewee.Database, version: int) -> None:
    """Take back a version whose file could not be written."""
    connection.execute_sql("DELETE FROM memory_versions WHERE id = ?", (version,))


def newest_hash(connection: peewee.Database, owner: str | None, file: str) -> str | None:
    """The hash of the newest version; None when none is known."""
    row = connection.execute_sql(
        "SELECT hash FROM memory_versions WHERE owner = ? AND file = ? ORDER BY id DESC LIMIT 1", (owner or "", file)
    ).fetchone()
    return None if row is None else str(row[0])


def list_versions(connection: peewee.Database, owner: str | None, file: str, limit: int) -> list[Version]:
    """The versions of a file, the newest first."""
    rows = connection.execute_sql(
        "SELECT id, file, hash, size_bytes, origin, user_id, session_id, turn_id, created_at, "
        # What the person had said last when the agent wrote: a turn may hold follow-ups.
        "(SELECT max(m.id) FROM session_messages m WHERE m.turn_id = v.turn_id AND m.role = 'user' AND m.timestamp <= v.created_at) "
        "FROM memory_versions v WHERE owner = ? AND file = ? ORDER BY id DESC LIMIT ?",
        (owner or "", file, limit),
    )
    return [Version(*row) for row in rows.fetchall()]


def find_content(connection: peewee.Database, owner: str | None, file: str, version: int) -> bytes | None:
    """What the file held at that version; None when this file has no such version."""
    row: tuple[Any, ...] | None = connection.execute_sql(
        "SELECT content FROM memory_versions WHERE id = ? AND owner = ? AND file = ?", (version, owner or "", file)
    ).fetchone()
    return None if row is None else zlib.decompress(row[0])


def _insert(
    connection: peewee.Database,
    owner: str | None,
    file: str,
    content: bytes,
    content_hash: str,
    writer: Writer | None,
    now: datetime,
) -> int:
    packed = zlib.compress(content)
    cursor = connection.execute_sql(
        "INSERT INTO memory_versions (owner, file, hash, size_bytes, content, packed_bytes, origin, user_id, session_id, "
        "turn_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            owner or "",
            file,
            content_hash,
            len(content),
            packed,
            len(packed),
            writer.origin if writer else "hand",
            writer.user_id if writer else None,
            writer.session_id if writer else None,
            writer.turn_id if writer else None,
            format_time(now),
        ),
    )
    return int(cursor.lastrowid)


def exports_of(connection: peewee.Database, session_id: str) -> list[tuple[str, str]]:
    """The files that a session was exported to: (owner, "" for the agent, and file)."""
    rows = connection.execute_sql(
        "SELECT DISTINCT owner, file FROM memory_versions WHERE session_id = ? AND origin = 'export'", (session_id,)
    )
    return [(str(owner), str(file)) for owner, file in rows.fetchall()]


def forget_file(connection: peewee.Database, owner: str, file: str) -> None:
    """Delete every version of a file."""
    connection.execute_sql("DELETE FROM memory_versions WHERE owner = ? AND file = ?", (owner, file))


def forget_owner(connection: peewee.Database, owner: str) -> int:
    """Delete every version of a person's files; returns how many."""
    return int(connection.execute_sql("DELETE FROM memory_versions WHERE owner = ?", (owner,)).rowcount)


def _forget_old(connection: peewee.Database, owner: str | None, file: str) -> None:
    connection.execute_sql(
        "DELETE FROM memory_versions WHERE owner = ? AND file = ? AND id <= "
        "(SELECT id FROM memory_versions WHERE owner = ? AND file = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (owner or "", file, owner or "", file, KEPT_VERSIONS),
    )
    row = connection.execute_sql(
        "SELECT sum(packed_bytes) FROM memory_versions WHERE owner = ?", (owner or "",)
    ).fetchone()
    excess = (row[0] or 0) - KEPT_BYTES
    while excess > 0:
        oldest = connection.execute_sql(
            "SELECT id, packed_bytes FROM memory_versions WHERE owner = ? ORDER BY id LIMIT 1", (owner or "",)
        ).fetchone()
        connection.execute_sql("DELETE FROM memory_versions WHERE id = ?", (oldest[0],))
        excess -= oldest[1]
