"""Further gateways that this one runs."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE instances (
        id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, wanted TEXT NOT NULL,
        created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, port INTEGER NOT NULL DEFAULT 0,
        fields TEXT NOT NULL DEFAULT '{}')""",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
