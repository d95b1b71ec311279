"""SQL of deleting messages: out of the conversation, the search, and what the model is shown. What they cost stays booked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import peewee

from starpod.agent import branch_store, store
from starpod.agent.erasure import Row, erase
from starpod.errors import Conflict, NotFound
from starpod.sessions import search_store
from starpod.sessions import store as sessions
from starpod.sessions.types import Session, StoredFile

Scope = Literal["message", "answer"]


@dataclass(frozen=True, slots=True)
class Deleted:
    """What is gone: ids of messages, and files that came with them and with nothing else."""

    session: Session
    message_ids: tuple[int, ...]
    files: list[StoredFile]


def delete(
    connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None, message_id: int, scope: Scope
) -> Deleted:
    """Delete a message, or all that the agent said and did in its turn. Raises NotFound, Conflict while the session is busy."""
    session = sessions.find_session(connection, session_id, owner_ids)
    if session is None:
        raise NotFound(f"Session {session_id!r} not found")
    found = connection.execute_sql(
        "SELECT turn_id, role, content FROM session_messages WHERE id = ? AND session_id = ?", (message_id, session_id)
    ).fetchone()
    if found is None:
        raise NotFound(f"Message {message_id} not found in this session")
    if store.unfinished(connection, session_id):
        raise Conflict(branch_store.BUSY)
    turn_id = found[0]
    if turn_id is None:
        _remove(connection, (message_id,))
        return Deleted(session, (message_id,), [])
    rows = [
        Row(*row)
        for row in connection.execute_sql(
            "SELECT id, role, content FROM session_messages WHERE turn_id = ? ORDER BY id", (turn_id,)
        ).fetchall()
    ]
    model = connection.execute_sql(
        "SELECT id, message FROM model_messages WHERE turn_id = ? ORDER BY id", (turn_id,)
    ).fetchall()
    wanted = {message_id} if scope == "message" else {row.id for row in rows if row.role != "user"}
    erasure = erase(rows, model, wanted)
    _remove(connection, erasure.message_ids)
    for row_id, message in erasure.changed.items():
        if message is None:
            connection.execute_sql("DELETE FROM model_messages WHERE id = ?", (row_id,))
        else:
            connection.execute_sql("UPDATE model_messages SET message = ? WHERE id = ?", (message, row_id))
    if model:
        # What was summarised is summarised anew, without what is gone, once it is too long again.
        connection.execute_sql(
            "DELETE FROM compaction_log WHERE session_id = ? AND upto_id >= ?", (session_id, model[0][0])
        )
    left = [row for row in rows if row.id not in erasure.message_ids]
    files = _forget_files(connection, session, turn_id, rows, left)
    if not left:
        _leave(connection, session_id, turn_id)
    return Deleted(session, erasure.message_ids, files)


def _remove(connection: peewee.Database, message_ids: tuple[int, ...]) -> None:
    ids = json.dumps(message_ids)
    search_store.forget_messages(connection, message_ids)
    connection.execute_sql("DELETE FROM session_messages WHERE id IN (SELECT value FROM json_each(?))", (ids,))


def _forget_files(
    connection: peewee.Database, session: Session, turn_id: str, rows: list[Row], left: list[Row]
) -> list[StoredFile]:
    """The files of a turn came with its first message; those that the agent sent stay in its home, where it works with them."""
    if not any(row.role != "user" for row in left):
        connection.execute_sql("DELETE FROM attachments WHERE turn_id = ? AND direction = 'out'", (turn_id,))
    first = next((row.id for row in rows if row.role == "user"), None)
    if first is None or any(row.id == first for row in left):
        return []
    connection.execute_sql("UPDATE turns SET text = '' WHERE id = ?", (turn_id,))
    paths = connection.execute_sql(
        "SELECT path FROM attachments AS own WHERE turn_id = ? AND direction = 'in' AND NOT EXISTS ("
        # Another version of the same message has the same files.
        "SELECT 1 FROM attachments AS other WHERE other.session_id = own.session_id AND other.path = own.path "
        "AND other.turn_id IS NOT own.turn_id)",
        (turn_id,),
    ).fetchall()
    connection.execute_sql("DELETE FROM attachments WHERE turn_id = ? AND direction = 'in'", (turn_id,))
    (is_admin,) = connection.execute_sql(
        "SELECT coalesce((SELECT role = 'admin' FROM users WHERE id = ?), 0)", (session.user_id,)
    ).fetchone()
    return [StoredFile(session.user_id, is_admin != 0, path) for (path,) in paths]


def _leave(connection: peewee.Database, session_id: str, turn_id: str) -> None:
    """Nothing is left of a turn. When it was the newest, another version of it is shown in its place, or what came before it."""
    (head, parent) = connection.execute_sql(
        "SELECT head_turn_id, (SELECT parent_id FROM turns WHERE id = ?) FROM session_metadata WHERE id = ?",
        (turn_id, session_id),
    ).fetchone()
    if head != turn_id:
        return
    beside = connection.execute_sql(
        "SELECT turns.id FROM turns WHERE session_id = ? AND parent_id IS ? AND id <> ? AND EXISTS ("
        "SELECT 1 FROM session_messages WHERE turn_id = turns.id) ORDER BY created_at DESC, rowid DESC LIMIT 1",
        (session_id, parent, turn_id),
    ).fetchone()
    if beside is None:
        branch_store.show(connection, session_id, parent)
    else:
        branch_store.activate(connection, session_id, None, beside[0])
