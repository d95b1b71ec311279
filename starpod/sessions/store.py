"""SQL of the sessions domain. Plain functions on a connection; rows leave as records."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import peewee

from starpod.clock import format_time, parse_time
from starpod.sessions import search_store
from starpod.sessions.types import Message, MessageRole, Session, SessionKey, SessionQuery, StoredFile

COLUMNS = (
    "id, created_at, last_message_at, is_closed, summary, title, message_count, channel, channel_session_key, user_id, "
    "is_read, is_archived, triggered_by, is_pinned"
)
CLOSED_BY_GAP = "Auto-closed: inactivity"
CLOSED_BY_USER = "Closed: a new conversation was begun"

REOPENS = 2
"""`is_closed` of a session that was open when it was deleted."""

_SHOWN = "(turn_id IS NULL OR turn_id NOT IN (SELECT id FROM turns WHERE session_id = ? AND is_hidden = 1))"


def list_sessions(connection: peewee.Database, owner_ids: tuple[str, ...] | None, query: SessionQuery) -> list[Session]:
    """Sessions that are not deleted, the newest message first; of all owners when `owner_ids` is None."""
    where = "is_archived = ? AND deleted_at IS NULL"
    params: list[int | str] = [int(query.archived)]
    if query.pinned_only:
        where += " AND is_pinned = 1"
    if query.before is not None:
        where += " AND (last_message_at, id) < (SELECT last_message_at, id FROM session_metadata WHERE id = ?)"
        params.append(query.before)
    select, order = f"SELECT {COLUMNS} FROM session_metadata", "ORDER BY last_message_at DESC, id DESC LIMIT ?"
    if owner_ids is None:
        rows = connection.execute_sql(f"{select} WHERE {where} {order}", (*params, query.limit))
        return [_session(row) for row in rows]
    of_one = f"{select} WHERE user_id = ? AND {where} {order}"
    if len(owner_ids) == 1:
        return [_session(row) for row in connection.execute_sql(of_one, (owner_ids[0], *params, query.limit))]
    # One index walk an owner, then a merge: an IN over owners would sort all that they ever said.
    branches = " UNION ALL ".join(f"SELECT * FROM ({of_one})" for _ in owner_ids)
    values = [value for owner in owner_ids for value in (owner, *params, query.limit)]
    rows = connection.execute_sql(f"SELECT * FROM ({branches}) {order}", (*values, query.limit))
    return [_session(row) for row in rows]


def find_session(connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None) -> Session | None:
    """The session, or None when it is unknown or not of one of `owner_ids`."""
    row = connection.execute_sql(
        f"SELECT {COLUMNS} FROM session_metadata WHERE id = ? AND deleted_at IS NULL", (session_id,)
    ).fetchone()
    if row is None or (owner_ids is not None and row[9] not in owner_ids):
        return None
    return _session(row)


def find_by_turn(connection: peewee.Database, turn_id: str, owner_ids: tuple[str, ...] | None) -> Session | None:
    """The session of a turn, or None as `find_session`."""
    row = connection.execute_sql("SELECT session_id FROM turns WHERE id = ?", (turn_id,)).fetchone()
    return None if row is None else find_session(connection, row[0], owner_ids)


def list_messages(
    connection: peewee.Database, session_id: str, limit: int | None = None, before: int | None = None
) -> list[Message]:
    """Rows of the branch that is shown, in order of id. With `limit` only the last that many, with `before` only smaller ids."""
    rows = connection.execute_sql(
        "SELECT id, session_id, role, content, timestamp, turn_id FROM session_messages "
        f"WHERE session_id = ? AND id < ? AND {_SHOWN} ORDER BY id DESC LIMIT ?",
        (session_id, before if before is not None else 2**62, session_id, limit if limit is not None else -1),
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


def find_open(connection: peewee.Database, key: SessionKey) -> Session | None:
    """The session that a message of `key` would continue, however long it has been silent."""
    row = connection.execute_sql(
        f"SELECT {COLUMNS} FROM session_metadata WHERE channel = ? AND channel_session_key = ? AND user_id = ? AND is_closed = 0 "
        "ORDER BY last_message_at DESC LIMIT 1",
        (key.channel, key.key, key.user_id),
    ).fetchone()
    return None if row is None else _session(row)


def close_open(connection: peewee.Database, key: SessionKey) -> str | None:
    """Let the next message of `key` begin a session; returns the id of the one that it would have continued."""
    session = find_open(connection, key)
    if session is not None:
        connection.execute_sql(
            "UPDATE session_metadata SET is_closed = 1, summary = ? WHERE id = ?", (CLOSED_BY_USER, session.id)
        )
    return None if session is None else session.id


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


def update(
    connection: peewee.Database,
    session_id: str,
    owner_ids: tuple[str, ...] | None,
    *,
    title: str | None,
    is_pinned: bool | None,
) -> Session | None:
    """Change what is not None and return the session; None when there is no such session for these owners."""
    if find_session(connection, session_id, owner_ids) is None:
        return None
    connection.execute_sql(
        "UPDATE session_metadata SET title = coalesce(?, title), is_pinned = coalesce(?, is_pinned) WHERE id = ?",
        (title, None if is_pinned is None else int(is_pinned), session_id),
    )
    return find_session(connection, session_id, owner_ids)


def mark_deleted(
    connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None, now: datetime
) -> bool:
    """Hide a session; it is closed too, so that its key is free. False when there is no such session for these owners."""
    if find_session(connection, session_id, owner_ids) is None:
        return False
    connection.execute_sql(
        "UPDATE session_metadata SET deleted_at = ?, is_closed = CASE is_closed WHEN 0 THEN ? ELSE is_closed END WHERE id = ?",
        (format_time(now), REOPENS, session_id),
    )
    return True


def find_deleted(connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None) -> bool:
    """Whether these owners have a deleted session of this id."""
    row = connection.execute_sql(
        "SELECT user_id FROM session_metadata WHERE id = ? AND deleted_at IS NOT NULL", (session_id,)
    ).fetchone()
    return row is not None and (owner_ids is None or row[0] in owner_ids)


def restore(connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None) -> Session | None:
    """Bring a deleted session back, open if it was and its key was not taken since. None when these owners have no such session."""
    if not find_deleted(connection, session_id, owner_ids):
        return None
    connection.execute_sql(
        "UPDATE session_metadata SET deleted_at = NULL, is_closed = CASE WHEN is_closed = ? AND NOT EXISTS ("
        "SELECT 1 FROM session_metadata AS other WHERE other.channel = session_metadata.channel AND other.is_closed = 0 "
        "AND other.channel_session_key = session_metadata.channel_session_key AND other.user_id = session_metadata.user_id) "
        "THEN 0 ELSE 1 END WHERE id = ?",
        (REOPENS, session_id),
    )
    return find_session(connection, session_id, owner_ids)


def deleted_before(connection: peewee.Database, moment: datetime, limit: int) -> list[str]:
    """Ids of sessions that were deleted before `moment`."""
    rows = connection.execute_sql(
        "SELECT id FROM session_metadata WHERE deleted_at < ? LIMIT ?", (format_time(moment), limit)
    )
    return [row[0] for row in rows.fetchall()]


def purge(connection: peewee.Database, session_id: str) -> list[StoredFile]:
    """Remove a deleted session with all that was said in it; what it cost stays booked. Returns the files that came with its messages."""
    rows = connection.execute_sql(
        "SELECT DISTINCT session_metadata.user_id, coalesce(users.role = 'admin', 0), attachments.path FROM attachments "
        "JOIN session_metadata ON session_metadata.id = attachments.session_id "
        "LEFT JOIN users ON users.id = session_metadata.user_id WHERE session_id = ? AND direction = 'in'",
        (session_id,),
    ).fetchall()
    search_store.forget(connection, session_id)
    # Everything else that belongs to the session goes with its row.
    connection.execute_sql("DELETE FROM session_metadata WHERE id = ? AND deleted_at IS NOT NULL", (session_id,))
    return [StoredFile(user_id, is_admin != 0, path) for user_id, is_admin, path in rows]


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
        row[13] != 0,
    )
