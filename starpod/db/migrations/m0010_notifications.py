"""What people were told."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE notifications (
        id INTEGER PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
        kind TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, success INTEGER NOT NULL,
        session_id TEXT NOT NULL DEFAULT '', source TEXT NOT NULL, created_at TEXT NOT NULL, is_read INTEGER NOT NULL DEFAULT 0)""",
    # Told once; also what lists and the count of unread ones go by.
    "CREATE UNIQUE INDEX notifications_source ON notifications (coalesce(user_id, ''), source)",
    "CREATE INDEX notifications_list ON notifications (coalesce(user_id, ''), id)",
    "CREATE INDEX notifications_user ON notifications (user_id)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
