"""What memory files held before, and who changed them."""

from __future__ import annotations

import peewee

STATEMENTS = (
    # `owner` is "" for the agent's own files. A user's versions outlive the session that made them.
    """CREATE TABLE memory_versions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, file TEXT NOT NULL, hash TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, content BLOB NOT NULL, packed_bytes INTEGER NOT NULL, origin TEXT NOT NULL,
        user_id TEXT, session_id TEXT, turn_id TEXT, created_at TEXT NOT NULL)""",
    "CREATE INDEX memory_versions_file ON memory_versions (owner, file, id)",
    "CREATE INDEX memory_versions_owner ON memory_versions (owner, id, packed_bytes)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
