"""Pinned and deleted sessions, turns as a tree of branches, and the search index of messages."""

from __future__ import annotations

import peewee

STATEMENTS = (
    "ALTER TABLE session_metadata ADD COLUMN is_pinned INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE session_metadata ADD COLUMN deleted_at TEXT",
    # The newest turn of the branch that is shown.
    "ALTER TABLE session_metadata ADD COLUMN head_turn_id TEXT",
    "CREATE INDEX session_metadata_deleted ON session_metadata (deleted_at) WHERE deleted_at IS NOT NULL",
    "ALTER TABLE turns ADD COLUMN parent_id TEXT",
    # A turn of a branch that is not shown.
    "ALTER TABLE turns ADD COLUMN is_hidden INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX turns_hidden ON turns (session_id) WHERE is_hidden = 1",
    """UPDATE turns SET parent_id = (SELECT earlier.id FROM turns AS earlier WHERE earlier.session_id = turns.session_id
        AND (earlier.created_at, earlier.rowid) < (turns.created_at, turns.rowid)
        ORDER BY earlier.created_at DESC, earlier.rowid DESC LIMIT 1)""",
    """UPDATE session_metadata SET head_turn_id = (SELECT turns.id FROM turns WHERE turns.session_id = session_metadata.id
        ORDER BY turns.created_at DESC, turns.rowid DESC LIMIT 1)""",
    # Removing a session would look through the whole of these tables without them.
    "CREATE INDEX model_messages_turn ON model_messages (turn_id)",
    "CREATE INDEX attachments_turn ON attachments (turn_id)",
    "CREATE INDEX follow_ups_turn ON follow_ups (turn_id)",
    # Rows have the ids of session_messages; they are added after the fact, up to `upto_id`.
    "CREATE VIRTUAL TABLE message_search USING fts5 (body, tokenize = 'unicode61 remove_diacritics 2')",
    "CREATE TABLE message_search_state (upto_id INTEGER NOT NULL)",
    "INSERT INTO message_search_state (upto_id) VALUES (0)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
