"""SQL that ends a turn which did not complete: stopped, failed, or cut off by a crash. Nothing that was said or asked is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee

from starpod.agent import history, store
from starpod.agent.types import TurnState, UsageRow
from starpod.sessions import store as sessions

CUT_OFF = "The gateway stopped while this was being answered."


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a turn ended. `usage` is that of a model call which was cut off, if one was."""

    turn_id: str
    state: TurnState
    error: str | None = None
    num_turns: int = 0
    usage: UsageRow | None = None


def settle(connection: peewee.Database, settlement: Settlement, now: datetime) -> str:
    """End a turn that did not complete and make its history whole; returns the text it had said since its last stored answer.

    Journalled text becomes an assistant message, tool calls without a result get an error result, messages that the model never saw join
    its history. Works from the database alone, so it serves a stop, a failure and the start after a crash alike.
    """
    turn_id = settlement.turn_id
    row = connection.execute_sql("SELECT session_id FROM turns WHERE id = ?", (turn_id,)).fetchone()
    if row is None:
        return ""
    session_id = row[0]
    _return_open_calls(connection, session_id, turn_id, now)
    said = "".join(
        text
        for (text,) in connection.execute_sql("SELECT text FROM turn_journal WHERE turn_id = ? ORDER BY id", (turn_id,))
    )
    never_began = not connection.execute_sql(
        "SELECT 1 FROM model_messages WHERE turn_id = ? LIMIT 1", (turn_id,)
    ).fetchone()
    if never_began:
        _store_pending(connection, session_id, turn_id, now)
    if said:
        sessions.add_message(connection, session_id, turn_id, "assistant", said, now)
        store.add_model_message(connection, session_id, turn_id, history.partial_response_json(said, now), now)
        connection.execute_sql("DELETE FROM turn_journal WHERE turn_id = ?", (turn_id,))
    _store_pending(connection, session_id, turn_id, now)
    if settlement.usage is not None:
        store.add_usage(connection, session_id, turn_id, settlement.usage, settlement.num_turns, now)
    store.end_turn(connection, turn_id, settlement.state, settlement.num_turns, settlement.error, now)
    return said


def recover(connection: peewee.Database, now: datetime) -> list[str]:
    """After a crash: mark what was running or waiting as interrupted, keep all it had said, run nothing. Returns the turn ids."""
    rows = connection.execute_sql(
        "SELECT id FROM turns WHERE state IN ('running', 'queued') ORDER BY created_at"
    ).fetchall()
    for (turn_id,) in rows:
        settle(connection, Settlement(turn_id, "interrupted", CUT_OFF), now)
    return [turn_id for (turn_id,) in rows]


def _return_open_calls(connection: peewee.Database, session_id: str, turn_id: str, now: datetime) -> None:
    """Give every tool call of the last answer a result: the stored one where it came in time, else an error."""
    row = connection.execute_sql(
        "SELECT message FROM model_messages WHERE turn_id = ? ORDER BY id DESC LIMIT 1", (turn_id,)
    ).fetchone()
    calls = history.open_tool_calls(row[0]) if row else []
    if not calls:
        return
    # Some providers number their calls anew in each answer: only what came behind the last calls belongs to them.
    results: dict[str, dict[str, Any]] = {}
    for (content,) in connection.execute_sql(
        "SELECT content FROM session_messages WHERE turn_id = ? AND role = 'tool_result' AND id > "
        "(SELECT max(id) FROM session_messages WHERE turn_id = ? AND role = 'tool_use')",
        (turn_id, turn_id),
    ).fetchall():
        result = json.loads(content)
        results[result["tool_use_id"]] = result
    returns = []
    for call_id, name in calls:
        if call_id not in results:
            store.save_tool_result(
                connection,
                session_id=session_id,
                turn_id=turn_id,
                call_id=call_id,
                content=history.INTERRUPTED,
                is_error=True,
                now=now,
            )
            results[call_id] = {"content": history.INTERRUPTED, "is_error": True}
        returns.append((call_id, name, results[call_id]["content"], not results[call_id]["is_error"]))
    store.add_model_message(connection, session_id, turn_id, history.tool_returns_json(returns, now), now)


def _store_pending(connection: peewee.Database, session_id: str, turn_id: str, now: datetime) -> None:
    rows = connection.execute_sql(
        "SELECT id, content FROM session_messages WHERE turn_id = ? AND role = 'user' AND is_pending = 1 ORDER BY id",
        (turn_id,),
    ).fetchall()
    for message_id, content in rows:
        store.save_request(
            connection,
            session_id=session_id,
            turn_id=turn_id,
            message_json=history.user_json(content, now),
            message_ids=[message_id],
            now=now,
        )
