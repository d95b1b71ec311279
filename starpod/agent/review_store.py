"""SQL of reviews: how many messages of a session have been looked at."""

from __future__ import annotations

from datetime import datetime

import peewee

from starpod.clock import format_time


def count_unreviewed(connection: peewee.Database, session_id: str) -> int:
    """How many of a session's messages came since its last review."""
    row = connection.execute_sql(
        "SELECT message_count - reviewed_count FROM session_metadata WHERE id = ? AND deleted_at IS NULL", (session_id,)
    ).fetchone()
    return 0 if row is None else int(row[0])


def mark_reviewed(connection: peewee.Database, session_id: str, count: int) -> None:
    """`count` more messages have been looked at."""
    connection.execute_sql(
        "UPDATE session_metadata SET reviewed_count = min(message_count, reviewed_count + ?) WHERE id = ?",
        (count, session_id),
    )


def list_left(
    connection: peewee.Database, user_id: str, session_id: str, after: datetime, before: datetime, limit: int
) -> list[tuple[str, int]]:
    """(id, messages not looked at) of the user's other sessions, last written to between `after` and `before`, newest first."""
    rows = connection.execute_sql(
        "SELECT id, message_count - reviewed_count FROM session_metadata WHERE user_id = ? AND is_archived = 0 AND id <> ? "
        "AND message_count > reviewed_count AND last_message_at > ? AND last_message_at < ? "
        "AND deleted_at IS NULL AND triggered_by IS NULL "
        "ORDER BY last_message_at DESC LIMIT ?",
        (user_id, session_id, format_time(after), format_time(before), limit),
    )
    return [(str(row[0]), int(row[1])) for row in rows.fetchall()]
