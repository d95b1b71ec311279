"""The vault: sealed secrets, and which key sealed them."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE vault_entries (
        name TEXT PRIMARY KEY, nonce BLOB NOT NULL, sealed BLOB NOT NULL, allowed_hosts TEXT,
        created_at TEXT NOT NULL, updated_at TEXT NOT NULL)""",
    # One row. The generation tells other processes that something changed; the key's id tells a wrong key from a damaged row.
    """CREATE TABLE vault_state (
        id INTEGER PRIMARY KEY CHECK (id = 1), generation INTEGER NOT NULL, key_id TEXT)""",
    "INSERT INTO vault_state (id, generation, key_id) VALUES (1, 0, NULL)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
