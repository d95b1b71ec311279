"""Remembered answers in the database."""

from __future__ import annotations

from collections.abc import Sequence

import peewee

from starpod.approvals.types import Answer


def save(connection: peewee.Database, answer: Answer) -> None:
    """Keep an answer in place of an earlier one about the same."""
    connection.execute_sql(
        "DELETE FROM approval_answers WHERE user_id = ? AND tool_name = ? AND subject = ? AND session_id IS ?",
        (answer.user_id, answer.tool_name, answer.subject, answer.session_id),
    )
    connection.execute_sql(
        "INSERT INTO approval_answers (id, user_id, tool_name, subject, decision, session_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            answer.id,
            answer.user_id,
            answer.tool_name,
            answer.subject,
            answer.decision,
            answer.session_id,
            answer.created_at,
        ),
    )


def find(connection: peewee.Database, user_id: str, tool_name: str, subject: str, session_id: str) -> Answer | None:
    """What a user has said about this, in this session first, else for ever."""
    row = connection.execute_sql(
        "SELECT id, user_id, tool_name, subject, decision, session_id, created_at FROM approval_answers "
        "WHERE user_id = ? AND tool_name = ? AND subject = ? AND (session_id IS NULL OR session_id = ?) "
        "ORDER BY session_id IS NULL LIMIT 1",
        (user_id, tool_name, subject, session_id),
    ).fetchone()
    return None if row is None else Answer(*row)


def list_answers(connection: peewee.Database, user_ids: Sequence[str] | None) -> list[Answer]:
    """The answers of these users (None: of all), the newest first."""
    rows = connection.execute_sql(
        "SELECT id, user_id, tool_name, subject, decision, session_id, created_at "
        "FROM approval_answers ORDER BY created_at DESC, id"
    ).fetchall()
    return [Answer(*row) for row in rows if user_ids is None or row[1] in user_ids]


def delete(connection: peewee.Database, answer_id: str, user_ids: Sequence[str] | None) -> bool:
    """Forget an answer; False when these users have none with this id."""
    row = connection.execute_sql("SELECT user_id FROM approval_answers WHERE id = ?", (answer_id,)).fetchone()
    if row is None or (user_ids is not None and row[0] not in user_ids):
        return False
    connection.execute_sql("DELETE FROM approval_answers WHERE id = ?", (answer_id,))
    return True
