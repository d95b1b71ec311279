"""What the index reads from the conversations: SQL on core.db."""

from __future__ import annotations

from collections.abc import Sequence

import peewee

from starpod.memory.types import SessionMessage

_MESSAGES = (
    "SELECT message.id, message.session_id, session.user_id, message.role, message.content, message.timestamp, "
    "coalesce(session.title, '') FROM session_messages AS message JOIN session_metadata AS session ON session.id = message.session_id "
    "WHERE message.id > ? AND message.role IN ('user', 'assistant') AND session.deleted_at IS NULL ORDER BY message.id LIMIT ?"
)


def messages_after(connection: peewee.Database, message_id: int, limit: int) -> list[SessionMessage]:
    """What people and the agent said after a message, in order; deleted sessions are left out."""
    return [SessionMessage(*row) for row in connection.execute_sql(_MESSAGES, (message_id, limit))]


def messages_of(connection: peewee.Database, session_id: str) -> list[SessionMessage]:
    """All messages of a session that is not deleted."""
    sql = _MESSAGES.replace("message.id > ? AND", "message.session_id = ? AND")
    return [SessionMessage(*row) for row in connection.execute_sql(sql, (session_id, -1))]


def living_sessions(connection: peewee.Database) -> set[str]:
    """The sessions that are not deleted."""
    return {row[0] for row in connection.execute_sql("SELECT id FROM session_metadata WHERE deleted_at IS NULL")}


def living_messages(connection: peewee.Database, message_ids: Sequence[int]) -> set[int]:
    """Which of these messages still exist in a session that is not deleted."""
    found = set()
    for message_id in message_ids:
        row = connection.execute_sql(
            "SELECT message.id FROM session_messages AS message JOIN session_metadata AS session ON session.id = message.session_id "
            "WHERE message.id = ? AND session.deleted_at IS NULL",
            (message_id,),
        ).fetchone()
        if row is not None:
            found.add(int(row[0]))
    return found
