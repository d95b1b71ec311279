"""Answers to tool calls that are remembered."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE approval_answers (
        id TEXT PRIMARY KEY, user_id TEXT NOT NULL, tool_name TEXT NOT NULL, subject TEXT NOT NULL,
        decision TEXT NOT NULL CHECK (decision IN ('approve', 'deny')),
        session_id TEXT REFERENCES session_metadata (id) ON DELETE CASCADE, created_at TEXT NOT NULL)""",
    "CREATE INDEX approval_answers_user ON approval_answers (user_id, tool_name)",
    "CREATE INDEX approval_answers_session ON approval_answers (session_id)",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
