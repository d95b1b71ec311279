"""SQL of the turn engine. Each function is one transaction's work; what changes together is one function."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import peewee

from starpod.agent.types import StoredTurn, TurnRequest, TurnState, UsageRow
from starpod.clock import format_time
from starpod.errors import Conflict
from starpod.sessions import store as sessions
from starpod.sessions.service import title_of
from starpod.usage import store as sums

TURN_COLUMNS = (
    "id, session_id, user_id, state, text, "
    # The model that answered last, which may be a stand-in for the one that was asked.
    "coalesce((SELECT provider || '/' || usage_stats.model FROM usage_stats WHERE turn_id = turns.id AND purpose = 'chat' "
    "ORDER BY usage_stats.id DESC LIMIT 1), model), num_turns, error"
)

_SHOWN = "(turn_id IS NULL OR turn_id NOT IN (SELECT id FROM turns WHERE session_id = ? AND is_hidden = 1))"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a turn starts from: the rows of the model's history, and the summary of what came before them."""

    rows: list[tuple[int, str]]
    summary: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a message. `begun` is set when its turn may run at once; `closed_session_id` when a gap ended the session before."""

    kind: Literal["new", "injected", "duplicate"]
    session_id: str
    turn_id: str
    message_id: int = 0
    begun: Begun | None = None
    closed_session_id: str | None = None


def accept(
    connection: peewee.Database,
    request: TurnRequest,
    *,
    turn_id: str,
    user_json: str,
    model: str,
    injectable: Mapping[str, str],
    queue_limit: int,
    gap: timedelta | None,
    now: datetime,
    earlier: Sequence[str] = (),
) -> Accepted:
    """Store a message: as a follow-up of a running turn (`injectable`: session id to turn id), else as a turn of its own.

    `earlier` (model messages as JSON) is what the model is to hear first in a session that this message begins.
    Raises Conflict when `queue_limit` messages of the session already wait.
    """
    user_id = request.key.user_id
    if request.client_message_id and (known := find_client_message(connection, user_id, request.client_message_id)):
        return Accepted("duplicate", known[1], known[0])
    session_id, closed = sessions.resolve(connection, request.key, gap=gap, now=now, triggered_by=request.triggered_by)
    sessions.touch(connection, session_id, title=title_of(request.text), now=now)
    if running := injectable.get(session_id):
        message_id = sessions.add_message(connection, session_id, running, "user", request.text, now, is_pending=True)
        if request.client_message_id:
            connection.execute_sql(
                "INSERT INTO follow_ups (user_id, client_message_id, turn_id) VALUES (?, ?, ?)",
                (user_id, request.client_message_id, running),
            )
        return Accepted("injected", session_id, running, message_id, closed_session_id=closed)
    waiting = unfinished(connection, session_id)
    if waiting > queue_limit:
        raise Conflict(
            f"{waiting} messages of this session are waiting already. Wait for an answer, or stop the running turn."
        )
    for message_json in earlier:
        add_model_message(connection, session_id, None, message_json, now)
    insert_turn(connection, turn_id, session_id, user_id, request, model, is_running=waiting == 0, now=now)
    message_id = sessions.add_message(
        connection, session_id, turn_id, "user", request.text, now, is_pending=waiting > 0
    )
    begun = begin_turn(connection, turn_id, session_id, user_json, now) if waiting == 0 else None
    return Accepted("new", session_id, turn_id, message_id, begun, closed)


def promote(
    connection: peewee.Database,
    request: TurnRequest,
    *,
    session_id: str,
    message_id: int,
    turn_id: str,
    user_json: str,
    model: str,
    now: datetime,
) -> Begun | None:
    """Make a turn of a follow-up whose turn ended before it was heard. Returns what to begin from, or None when it has to wait."""
    waiting = unfinished(connection, session_id)
    insert_turn(
        connection,
        turn_id,
        session_id,
        request.key.user_id,
        request,
        model,
        is_running=waiting == 0,
        now=now,
        keep_client_id=False,
    )
    connection.execute_sql("UPDATE session_messages SET turn_id = ? WHERE id = ?", (turn_id, message_id))
    if request.client_message_id:
        connection.execute_sql(
            "UPDATE follow_ups SET turn_id = ? WHERE user_id = ? AND client_message_id = ?",
            (turn_id, request.key.user_id, request.client_message_id),
        )
    return begin_turn(connection, turn_id, session_id, user_json, now) if waiting == 0 else None


def begin(connection: peewee.Database, turn_id: str, session_id: str, user_json: str, now: datetime) -> Begun:
    """Start a turn that had to wait."""
    connection.execute_sql(
        "UPDATE turns SET state = 'running', started_at = ? WHERE id = ?", (format_time(now), turn_id)
    )
    return begin_turn(connection, turn_id, session_id, user_json, now)


def save_response(
    connection: peewee.Database,
    *,
    session_id: str,
    turn_id: str,
    text: str,
    tool_calls: Sequence[tuple[str, str, Any]],
    message_json: str,
    usage: UsageRow,
    num_turns: int,
    is_final: bool,
    now: datetime,
) -> int:
    """One whole answer of the model: its text, its tool calls (id, name, input), its usage; the last one completes the turn."""
    connection.execute_sql("DELETE FROM turn_journal WHERE turn_id = ?", (turn_id,))
    if text:
        sessions.add_message(connection, session_id, turn_id, "assistant", text, now)
    for call_id, name, arguments in tool_calls:
        content = json.dumps({"type": "tool_use", "id": call_id, "name": name, "input": arguments}, ensure_ascii=False)
        sessions.add_message(connection, session_id, turn_id, "tool_use", content, now)
        sums.count_tool(connection, session_id, name, now)
    row_id = add_model_message(connection, session_id, turn_id, message_json, now)
    add_usage(connection, session_id, turn_id, usage, num_turns, now)
    if is_final:
        end_turn(connection, turn_id, "completed", num_turns, None, now)
    return row_id


def save_tool_result(
    connection: peewee.Database,
    *,
    session_id: str,
    turn_id: str,
    call_id: str,
    content: str,
    is_error: bool,
    now: datetime,
) -> None:
    """One tool result, whole."""
    row = {"type": "tool_result", "tool_use_id": call_id, "content": content, "is_error": is_error}
    sessions.add_message(connection, session_id, turn_id, "tool_result", json.dumps(row, ensure_ascii=False), now)
    if is_error and (name := _tool_of(connection, turn_id, call_id)) is not None:
        sums.count_tool(connection, session_id, name, now, is_error=True)


def save_request(
    connection: peewee.Database,
    *,
    session_id: str,
    turn_id: str,
    message_json: str,
    message_ids: Sequence[int],
    now: datetime,
) -> int:
    """What goes to the model next: tool results, and the follow-ups of `message_ids`, which are pending no longer."""
    for message_id in message_ids:
        connection.execute_sql("UPDATE session_messages SET is_pending = 0 WHERE id = ?", (message_id,))
    return add_model_message(connection, session_id, turn_id, message_json, now)


def append_journal(connection: peewee.Database, entries: Sequence[tuple[str, str]]) -> None:
    """Append streamed text, (turn id, text) each."""
    # executemany: five hundred turns that speak at once cost the writer thread, and so the loop, a tenth of the time.
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO turn_journal (turn_id, text) VALUES (?, ?)", entries)


def find_turn(connection: peewee.Database, turn_id: str) -> StoredTurn | None:
    """A turn by id."""
    row = connection.execute_sql(f"SELECT {TURN_COLUMNS} FROM turns WHERE id = ?", (turn_id,)).fetchone()
    return StoredTurn(*row) if row else None


def find_last_turn(connection: peewee.Database, session_id: str) -> StoredTurn | None:
    """The newest turn of the branch that is shown."""
    row = connection.execute_sql(
        f"SELECT {TURN_COLUMNS} FROM turns WHERE id = (SELECT head_turn_id FROM session_metadata WHERE id = ?)",
        (session_id,),
    ).fetchone()
    return StoredTurn(*row) if row else None


def turn_rows(connection: peewee.Database, turn_id: str) -> list[tuple[str, str]]:
    """(role, content) of all that a turn left behind, in order."""
    return list(
        connection.execute_sql(
            "SELECT role, content FROM session_messages WHERE turn_id = ? ORDER BY id", (turn_id,)
        ).fetchall()
    )


def turn_usage(connection: peewee.Database, turn_id: str) -> tuple[int, int, int, int, float]:
    """Sums over a turn: input that was not cached, output, cache read, cache written, USD."""
    row = connection.execute_sql(
        "SELECT coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(cache_read), 0), "
        "coalesce(sum(cache_write), 0), coalesce(sum(cost_usd), 0.0) FROM usage_stats WHERE turn_id = ?",
        (turn_id,),
    ).fetchone()
    return row[0], row[1], row[2], row[3], float(row[4])


def save_compaction(
    connection: peewee.Database,
    *,
    session_id: str,
    turn_id: str,
    summary: str,
    pre_tokens: int,
    messages_compacted: int,
    upto_id: int,
    usage: UsageRow,
    now: datetime,
) -> None:
    """From now on `summary` stands for every message up to the row `upto_id`."""
    connection.execute_sql(
        'INSERT INTO compaction_log (session_id, timestamp, "trigger", pre_tokens, summary, messages_compacted, upto_id) '
        "VALUES (?, ?, 'auto', ?, ?, ?, ?)",
        (session_id, format_time(now), pre_tokens, summary, messages_compacted, upto_id),
    )
    add_usage(connection, session_id, turn_id, usage, 0, now)


def save_attachment(
    connection: peewee.Database,
    *,
    session_id: str,
    turn_id: str,
    direction: str,
    name: str,
    mime_type: str,
    size_bytes: int,
    path: str,
    now: datetime,
) -> str:
    """Remember a file that came in or went out, by its path below the agent's home; returns its id."""
    attachment_id = str(uuid.uuid4())
    connection.execute_sql(
        "INSERT INTO attachments (id, session_id, turn_id, direction, file_name, mime_type, size_bytes, path, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (attachment_id, session_id, turn_id, direction, name, mime_type, size_bytes, path, format_time(now)),
    )
    return attachment_id


def add_usage(
    connection: peewee.Database,
    session_id: str | None,
    turn_id: str | None,
    usage: UsageRow,
    num_turns: int,
    now: datetime,
    user_id: str | None = None,
) -> None:
    """Book one model call; without a turn it is the user's given, or else the agent's own."""
    found = connection.execute_sql("SELECT user_id FROM turns WHERE id = ?", (turn_id,)).fetchone()
    user_id = found[0] if found else user_id or "admin"
    cursor = connection.execute_sql(
        "INSERT INTO usage_stats (session_id, turn_id, turn, input_tokens, output_tokens, cache_read, cache_write, cost_usd, is_estimate, "
        "purpose, provider, model, timestamp, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            session_id, turn_id, num_turns, usage.input_tokens, usage.output_tokens, usage.cache_read, usage.cache_write, usage.cost_usd,
            usage.is_estimate, usage.purpose, usage.provider, usage.model, format_time(now), user_id,
        ),
    )  # fmt: skip
    booked = sums.Booked(
        int(cursor.lastrowid), user_id, session_id, usage.model, usage.input_tokens, usage.output_tokens, usage.cache_read,
        usage.cache_write, usage.cost_usd, now,
    )  # fmt: skip
    sums.roll_up(connection, booked)


def add_model_message(
    connection: peewee.Database, session_id: str, turn_id: str | None, message_json: str, now: datetime
) -> int:
    """Append to what the model is shown and return the row's id. Without a turn it is what came before the first one."""
    cursor = connection.execute_sql(
        "INSERT INTO model_messages (session_id, turn_id, message, created_at) VALUES (?, ?, ?, ?)",
        (session_id, turn_id, message_json, format_time(now)),
    )
    return int(cursor.lastrowid)


def find_client_message(connection: peewee.Database, user_id: str, client_message_id: str) -> tuple[str, str] | None:
    """(turn id, session id) that a client message already led to."""
    row: tuple[str, str] | None = connection.execute_sql(
        "SELECT id, session_id FROM turns WHERE user_id = ? AND client_message_id = ? UNION ALL "
        "SELECT turns.id, turns.session_id FROM follow_ups JOIN turns ON turns.id = follow_ups.turn_id "
        "WHERE follow_ups.user_id = ? AND follow_ups.client_message_id = ? LIMIT 1",
        (user_id, client_message_id, user_id, client_message_id),
    ).fetchone()
    return row


def _tool_of(connection: peewee.Database, turn_id: str, call_id: str) -> str | None:
    """The name of the tool that a call was for."""
    rows = connection.execute_sql(
        "SELECT content FROM session_messages WHERE turn_id = ? AND role = 'tool_use' ORDER BY id DESC", (turn_id,)
    )
    calls = (json.loads(content) for (content,) in rows)
    return next((str(call["name"]) for call in calls if call["id"] == call_id), None)


def unfinished(connection: peewee.Database, session_id: str) -> int:
    """How many turns of a session run or wait."""
    row = connection.execute_sql(
        "SELECT count(*) FROM turns INDEXED BY turns_unfinished WHERE session_id = ? AND state IN ('queued', 'running')",
        (session_id,),
    ).fetchone()
    return int(row[0])


def insert_turn(
    connection: peewee.Database,
    turn_id: str,
    session_id: str,
    user_id: str,
    request: TurnRequest,
    model: str,
    *,
    is_running: bool,
    now: datetime,
    keep_client_id: bool = True,
) -> None:
    """Store a turn behind the session's head and make it the head."""
    moment = format_time(now)
    connection.execute_sql(
        "INSERT INTO turns (id, session_id, user_id, client_message_id, model, state, text, created_at, started_at, parent_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT head_turn_id FROM session_metadata WHERE id = ?))",
        (
            turn_id, session_id, user_id, request.client_message_id if keep_client_id else None, model,
            "running" if is_running else "queued", request.text, moment, moment if is_running else None, session_id,
        ),
    )  # fmt: skip
    connection.execute_sql("UPDATE session_metadata SET head_turn_id = ? WHERE id = ?", (turn_id, session_id))


def begin_turn(connection: peewee.Database, turn_id: str, session_id: str, user_json: str, now: datetime) -> Begun:
    """Put the message into the model's history and return that history."""
    add_model_message(connection, session_id, turn_id, user_json, now)
    connection.execute_sql(
        "UPDATE session_messages SET is_pending = 0 WHERE turn_id = ? AND is_pending = 1", (turn_id,)
    )
    last = connection.execute_sql(
        # A summary of another branch ends in a message that is not shown.
        "SELECT upto_id, summary FROM compaction_log WHERE session_id = ? AND upto_id IN "
        f"(SELECT id FROM model_messages WHERE session_id = ? AND {_SHOWN}) ORDER BY id DESC LIMIT 1",
        (session_id, session_id, session_id),
    ).fetchone()
    upto_id, summary = last if last else (0, None)
    rows = connection.execute_sql(
        f"SELECT id, message FROM model_messages WHERE session_id = ? AND id > ? AND {_SHOWN} ORDER BY id",
        (session_id, upto_id, session_id),
    ).fetchall()
    return Begun(rows, summary)


def end_turn(
    connection: peewee.Database, turn_id: str, state: TurnState, num_turns: int, error: str | None, now: datetime
) -> None:
    connection.execute_sql(
        "UPDATE turns SET state = ?, num_turns = max(num_turns, ?), error = ?, ended_at = ? WHERE id = ?",
        (state, num_turns, error, format_time(now), turn_id),
    )
