"""Telegram updates: what came in, and how far its answer got."""

from __future__ import annotations

import peewee

STATEMENTS = (
    # `payload` is the update as it came, until it is done; `sent` a JSON list of the ids of messages that answer it.
    """CREATE TABLE telegram_updates (
        bot_id INTEGER NOT NULL, update_id INTEGER NOT NULL, chat_id INTEGER NOT NULL,
        state TEXT NOT NULL, payload TEXT, user_id TEXT, session_id TEXT, turn_id TEXT,
        sent TEXT NOT NULL DEFAULT '[]', files_sent INTEGER NOT NULL DEFAULT 0, received_at TEXT NOT NULL,
        PRIMARY KEY (bot_id, update_id)) WITHOUT ROWID""",
    "CREATE INDEX telegram_updates_open ON telegram_updates (bot_id, update_id) WHERE state <> 'done'",
    "CREATE INDEX telegram_updates_age ON telegram_updates (received_at)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
