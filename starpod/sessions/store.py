"""SQL of the sessions domain. Plain functions on a connection; rows leave as records."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import peewee

from starpod.clock import format_time, parse_time
from starpod.sessions.types import Message, MessageRole, Session, SessionKey

COLUMNS = (
    "id, created_at, last_message_at, is_closed, summary, title, message_count, channel, channel_session_key, user_id, "
    "is_read, is_archived, triggered_by"
)
CLOSED_BY_GAP = "Auto-closed: inactivity"

_NEWEST_OF_ONE = f"SELECT {COLUMNS} FROM session_metadata WHERE user_id = ? AND is_archived = 0 ORDER BY last_message_at DESC LIMIT ?"


def list_sessions(connection: peewee.Database, owner_ids: tuple[str, ...] | None, limit: int) -> list[Session]:
    """Sessions that are not archived, the newest message first; of all owners when `owner_ids` is None."""
    if owner_ids is None:
        sql = f"SELECT {COLUMNS} FROM session_metadata WHERE is_archived = 0 ORDER BY last_message_at DESC LIMIT ?"
        return [_session(row) for row in connection.execute_sql(sql, (limit,))]
    if len(owner_ids) == 1:
        return [_session(row) for row in connection.execute_sql(_NEWEST_OF_ONE, (owner_ids[0], limit))]
    # One index walk an owner, then a merge: an IN over owners would sort all that they ever said.
    branches = " UNION ALL ".join(f"SELECT * FROM ({_NEWEST_OF_ONE})" for _ in owner_ids)
    params = [value for owner in owner_ids for value in (owner, limit)]
    sql = f"SELECT * FROM ({branches}) ORDER BY last_message_at DESC LIMIT ?"
    return [_session(row) for row in connection.execute_sql(sql, (*params, limit))]


def find_session(connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None) -> Session | None:
    """The session, or None when it is unknown or not of one of `owner_ids`."""
    row = connection.execute_sql(f"SELECT {COLUMNS} FROM session_metadata WHERE id = ?", (session_id,)).fetchone()
    if row is None or (owner_ids is not None and row[9] not in owner_ids):
        return None
    return _session(row)


def list_messages(
    connection: peewee.Database, session_id: str, limit: int | None = None, before: int | None = None
) -> list[Message]:
    """Rows in order of id. With `limit` only the last that many, with `before` only those of a smaller id."""
    rows = connection.execute_sql(
        "SELECT id, session_id, role, content, timestamp, turn_id FROM session_messages "
        "WHERE session_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (session_id, before if before is not None else 2**62, limit if limit is not None else -1),
    ).fetchall()
    return [Message(*row) for row in reversed(rows)]


def resolve(
    connection: peewee.Database,
    key: SessionKey,
    *,
    gap: timedelta | None,
    now: datetime,
    triggered_by: str | None = None,
) -> tuple[str, str | None]:
    """Continue the newest open session of `key` or make one: (its id, id of the session closed because of the gap, if any)."""
    row = connection.execute_sql(
        "SELECT id, last_message_at FROM session_metadata WHERE channel = ? AND channel_session_key = ? AND user_id = ? AND is_closed = 0 "
        "ORDER BY last_message_at DESC LIMIT 1",
        (key.channel, key.key, key.user_id),
    ).fetchone()
    closed: str | None = None
    if row is not None:
        if gap is None or now - parse_time(row[1]) < gap:
            return row[0], None
        closed = row[0]
        connection.execute_sql(
            "UPDATE session_metadata SET is_closed = 1, summary = ? WHERE id = ?", (CLOSED_BY_GAP, closed)
        )
    session_id = str(uuid.uuid4())
    moment = format_time(now)
    connection.execute_sql(
        "INSERT INTO session_metadata (id, created_at, last_message_at, channel, channel_session_key, user_id, triggered_by) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (session_id, moment, moment, key.channel, key.key, key.user_id, triggered_by),
    )
    return session_id, closed


def touch(connection: peewee.Database, session_id: str, *, title: str, now: datetime) -> None:
    """Count one accepted message; the first one gives the session its title."""
    connection.execute_sql(
        "UPDATE session_metadata SET last_message_at = ?, message_count = message_count + 1, title = coalesce(title, ?) WHERE id = ?",
        (format_time(now), title or None, session_id),
    )


def add_message(
    connection: peewee.Database,
    session_id: str,
    turn_id: str | None,
    role: MessageRole,
    content: str,
    now: datetime,
    *,
    is_pending: bool = False,
) -> int:
    """Append one row and return its id. `is_pending` marks a user's message that the model's history does not hold yet."""
    cursor = connection.execute_sql(
        "INSERT INTO session_messages (session_id, turn_id, role, content, timestamp, is_pending) VALUES (?, ?, ?, ?, ?, ?)",
        (session_id, turn_id, role, content, format_time(now), is_pending),
    )
    return int(cursor.lastrowid)


def set_flag(
    connection: peewee.Database,
    session_id: str,
    owner_ids: tuple[str, ...] | None,
    *,
    is_read: bool | None,
    is_archived: bool | None,
) -> bool:
    """Change what is not None; False when there is no such session for these owners."""
    if find_session(connection, session_id, owner_ids) is None:
        return False
    connection.execute_sql(
        "UPDATE session_metadata SET is_read = coalesce(?, is_read), is_archived = coalesce(?, is_archived) WHERE id = ?",
        (is_read, is_archived, session_id),
    )
    return True


def _session(row: tuple[Any, ...]) -> Session:
    return Session(
        row[0],
        row[1],
        row[2],
        row[3] != 0,
        row[4],
        row[5],
        row[6],
        row[7],
        row[8],
        row[9],
        row[10] != 0,
        row[11] != 0,
        row[12],
    )
