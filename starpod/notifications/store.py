"""SQL of notifications: one row a person and piece of news. Without any user the rows belong to nobody."""

from __future__ import annotations

from datetime import datetime

import peewee

from starpod.clock import format_time
from starpod.notifications.types import News, Notification
from starpod.outbox import store as outbox
from starpod.outbox.types import Message

KEPT = 200


def add_for(connection: peewee.Database, news: News, user_id: str | None, *, now: datetime) -> None:
    """Tell one person, or for None all active admins."""
    for recipient in [user_id] if user_id is not None else _admins(connection):
        _add(connection, news, recipient, now=now)


def add_for_both(connection: peewee.Database, news: News, user_id: str | None, *, now: datetime) -> None:
    """Tell the admins and, if given, one person more."""
    for recipient in {user_id: None, **dict.fromkeys(_admins(connection))} if user_id else _admins(connection):
        _add(connection, news, recipient, now=now)


def list_for(connection: peewee.Database, user_id: str | None, limit: int, before: int | None) -> list[Notification]:
    """A person's notifications, the newest first, older than the one with the id `before`."""
    rows = connection.execute_sql(
        "SELECT id, kind, title, text, success, session_id, created_at, is_read FROM notifications "
        "WHERE coalesce(user_id, '') = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (user_id or "", before if before is not None else 2**62, limit),
    )
    return [
        Notification(id_, kind, title, text, success != 0, session_id, created_at, is_read != 0)
        for id_, kind, title, text, success, session_id, created_at, is_read in rows
    ]


def count_unread(connection: peewee.Database, user_id: str | None) -> int:
    """How many a person has not seen."""
    sql = "SELECT count(*) FROM notifications WHERE coalesce(user_id, '') = ? AND is_read = 0"
    return int(connection.execute_sql(sql, (user_id or "",)).fetchone()[0])


def mark_read(connection: peewee.Database, user_id: str | None, ids: list[int] | None) -> int:
    """Mark these of a person's, or all for None, as seen; returns how many were not before."""
    sql = "UPDATE notifications SET is_read = 1 WHERE coalesce(user_id, '') = ? AND is_read = 0"
    if ids is None:
        return int(connection.execute_sql(sql, (user_id or "",)).rowcount)
    marks = ", ".join("?" for _ in ids)
    return int(connection.execute_sql(f"{sql} AND id IN ({marks})", (user_id or "", *ids)).rowcount)


def _add(connection: peewee.Database, news: News, user_id: str | None, *, now: datetime) -> None:
    cursor = connection.execute_sql(
        "INSERT INTO notifications (user_id, kind, title, text, success, session_id, source, created_at) "
        "SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS "
        "(SELECT 1 FROM notifications WHERE coalesce(user_id, '') = ? AND source = ?)",
        (
            user_id, news.kind, news.title, news.text, news.success, news.session_id, news.source, format_time(now),
            user_id or "", news.source,
        ),
    )  # fmt: skip
    if cursor.rowcount:
        if user_id is not None and news.kind != "delivery":
            outbox.add(connection, _outside(news), user_id, now.timestamp())
        connection.execute_sql(
            "DELETE FROM notifications WHERE coalesce(user_id, '') = ? AND id <= "
            "(SELECT id FROM notifications WHERE coalesce(user_id, '') = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (user_id or "", user_id or "", KEPT),
        )


def _outside(news: News) -> Message:
    title = news.title if news.success or news.kind != "cron_complete" else f"{news.title} failed"
    return Message(title, f"**{title}**\n\n{news.text if news.whole is None else news.whole}", news.source)


def _admins(connection: peewee.Database) -> list[str | None]:
    rows = connection.execute_sql("SELECT id FROM users WHERE role = 'admin' AND is_active = 1").fetchall()
    if rows:
        return [row[0] for row in rows]
    has_users = connection.execute_sql("SELECT 1 FROM users LIMIT 1").fetchone() is not None
    return [] if has_users else [None]
