"""SQL of the export: a session with all its branches, page by page."""

from __future__ import annotations

from typing import Any

import peewee

from starpod.sessions.types import ExportedFile, ExportedTurn, Message

IS_HIDDEN = 8


def list_turns(connection: peewee.Database, session_id: str) -> list[ExportedTurn]:
    """Every turn of a session with what it used, in the order they were asked."""
    rows = connection.execute_sql(
        "SELECT turns.id, parent_id, state, turns.model, error, created_at, started_at, ended_at, is_hidden, "
        "coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cache_read), 0), "
        "coalesce(sum(cache_write), 0), coalesce(sum(cost_usd), 0.0) FROM turns "
        "LEFT JOIN usage_stats ON usage_stats.turn_id = turns.id WHERE turns.session_id = ? "
        "GROUP BY turns.id ORDER BY (SELECT min(id) FROM session_messages WHERE turn_id = turns.id)",
        (session_id,),
    )
    return [_turn(row) for row in rows.fetchall()]


def list_page(connection: peewee.Database, session_id: str, after: int, limit: int) -> list[Message]:
    """Messages of all branches behind the row `after`, by ascending id."""
    rows = connection.execute_sql(
        "SELECT id, session_id, role, content, timestamp, turn_id FROM session_messages "
        "WHERE session_id = ? AND id > ? ORDER BY id LIMIT ?",
        (session_id, after, limit),
    )
    return [Message(*row) for row in rows.fetchall()]


def list_files(connection: peewee.Database, session_id: str) -> list[ExportedFile]:
    """The files that came in and went out."""
    rows = connection.execute_sql(
        "SELECT turn_id, direction, file_name, mime_type, size_bytes, created_at FROM attachments "
        "WHERE session_id = ? ORDER BY created_at, id",
        (session_id,),
    )
    return [ExportedFile(*row) for row in rows.fetchall()]


def _turn(row: tuple[Any, ...]) -> ExportedTurn:
    return ExportedTurn(*(value == 0 if column == IS_HIDDEN else value for column, value in enumerate(row)))
