"""Texts on their way to people outside, the channels that are on, and what hinders these."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL,
        user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        title TEXT NOT NULL, text TEXT NOT NULL, source TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'dead')),
        attempts INTEGER NOT NULL DEFAULT 0, error TEXT, created_at REAL NOT NULL, next_attempt_at REAL NOT NULL,
        lease_until REAL, ended_at REAL)""",
    # What happened is told once to a person through a channel.
    "CREATE UNIQUE INDEX outbox_source ON outbox (channel, user_id, source)",
    "CREATE INDEX outbox_open ON outbox (channel, user_id, id) WHERE state IN ('waiting', 'sending')",
    "CREATE INDEX outbox_ended ON outbox (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE INDEX outbox_user ON outbox (user_id, id)",
    # Only for channels that are on is anything kept.
    "CREATE TABLE outbox_channels (name TEXT PRIMARY KEY)",
    # A channel that fails: as a whole (user_id ''), or for one person.
    """CREATE TABLE outbox_troubles (
        channel TEXT NOT NULL, user_id TEXT NOT NULL, since REAL NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (channel, user_id))""",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
