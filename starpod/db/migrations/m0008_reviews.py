"""How many messages of a session have been looked through for what is worth remembering."""

from __future__ import annotations

import peewee

STATEMENTS = (
    "ALTER TABLE session_metadata ADD COLUMN reviewed_count INTEGER NOT NULL DEFAULT 0",
    # What was said before there were reviews is not looked at all at once.
    "UPDATE session_metadata SET reviewed_count = message_count",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
