"""SQL of Telegram updates. An update is a row before Telegram is told that it arrived, so that neither side loses it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import peewee

from starpod.channels.telegram.types import StoredUpdate, UpdateState
from starpod.clock import format_time

COLUMNS = "update_id, chat_id, state, coalesce(payload, ''), user_id, session_id, turn_id, sent, files_sent"


def add(
    connection: peewee.Database, bot_id: int, updates: Sequence[tuple[int, int, str]], now: datetime
) -> list[StoredUpdate]:
    """Store updates (id, chat id, payload); returns those that were not known."""
    fresh = []
    for update_id, chat_id, payload in updates:
        added = connection.execute_sql(
            "INSERT INTO telegram_updates (bot_id, update_id, chat_id, state, payload, received_at) VALUES (?, ?, ?, 'new', ?, ?) "
            "ON CONFLICT DO NOTHING RETURNING update_id",
            (bot_id, update_id, chat_id, payload, format_time(now)),
        ).fetchone()
        if added is not None:
            fresh.append(StoredUpdate(update_id, chat_id, "new", payload))
    return fresh


def list_open(connection: peewee.Database, bot_id: int) -> list[StoredUpdate]:
    """What is not done, in the order in which it came."""
    rows = connection.execute_sql(
        f"SELECT {COLUMNS} FROM telegram_updates WHERE bot_id = ? AND state <> 'done' ORDER BY received_at, update_id",
        (bot_id,),
    ).fetchall()
    return [_update(*row) for row in rows]


def _update(
    update_id: int,
    chat_id: int,
    state: UpdateState,
    payload: str,
    user_id: str | None,
    session_id: str | None,
    turn_id: str | None,
    sent: str,
    files_sent: int,
) -> StoredUpdate:
    return StoredUpdate(
        update_id, chat_id, state, payload, user_id, session_id, turn_id, tuple(json.loads(sent)), files_sent
    )


def mark_answering(
    connection: peewee.Database, bot_id: int, update_ids: Sequence[int], user_id: str, session_id: str, turn_id: str
) -> None:
    """The first of `update_ids` has a turn, which answers the others, too."""
    connection.execute_sql(
        "UPDATE telegram_updates SET state = 'answering', user_id = ?, session_id = ?, turn_id = ? "
        "WHERE bot_id = ? AND update_id = ?",
        (user_id, session_id, turn_id, bot_id, update_ids[0]),
    )
    mark_done(connection, bot_id, update_ids[1:])


def mark_sent(connection: peewee.Database, bot_id: int, update_id: int, sent: Sequence[int], files_sent: int) -> None:
    """How far the answer has got."""
    connection.execute_sql(
        "UPDATE telegram_updates SET sent = ?, files_sent = ? WHERE bot_id = ? AND update_id = ?",
        (json.dumps(list(sent)), files_sent, bot_id, update_id),
    )


def mark_done(connection: peewee.Database, bot_id: int, update_ids: Sequence[int]) -> None:
    """Nothing is left to do for these; only their ids are remembered."""
    for update_id in update_ids:
        connection.execute_sql(
            "UPDATE telegram_updates SET state = 'done', payload = NULL, user_id = NULL, session_id = NULL, turn_id = NULL, sent = '[]' "
            "WHERE bot_id = ? AND update_id = ?",
            (bot_id, update_id),
        )


def prune(connection: peewee.Database, before: datetime) -> None:
    """Forget what came earlier; Telegram itself keeps updates for a day."""
    connection.execute_sql("DELETE FROM telegram_updates WHERE received_at < ?", (format_time(before),))
