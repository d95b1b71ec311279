"""SQL of branches: a session's turns form a tree, and one path through it, up to the head, is what people and the model see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import peewee

from starpod.agent import store
from starpod.agent.store import Accepted
from starpod.agent.types import Branch, TurnRequest
from starpod.clock import format_time
from starpod.errors import Conflict, InvalidInput, NotFound
from starpod.sessions import store as sessions
from starpod.sessions.types import Session

BUSY = "This session is being answered. Wait for the answer, or stop the running turn."


@dataclass(frozen=True, slots=True)
class Source:
    """A turn that is to be asked again: its user's messages (up to the one that is edited), and all its model messages as JSON."""

    session: Session
    turn_id: str
    texts: tuple[str, ...]
    model_json: tuple[str, ...]


def find_source(
    connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None, message_id: int | None
) -> Source:
    """The newest turn, or that of a user's message. Raises NotFound, Conflict when nothing was said, InvalidInput for other rows."""
    session = sessions.find_session(connection, session_id, owner_ids)
    if session is None:
        raise NotFound(f"Session {session_id!r} not found")
    if message_id is None:
        (turn_id,) = connection.execute_sql(
            "SELECT head_turn_id FROM session_metadata WHERE id = ?", (session_id,)
        ).fetchone()
        if turn_id is None:
            raise Conflict("There is no answer yet that could be made again.")
    else:
        row = connection.execute_sql(
            "SELECT turn_id, role FROM session_messages WHERE id = ? AND session_id = ?", (message_id, session_id)
        ).fetchone()
        if row is None:
            raise NotFound(f"Message {message_id} not found in this session")
        if row[1] != "user" or row[0] is None:
            raise InvalidInput("Only what a person said can be edited", {"message_id": "name a message of role user"})
        turn_id = row[0]
    texts = connection.execute_sql(
        "SELECT content FROM session_messages WHERE turn_id = ? AND role = 'user' AND id <= ? ORDER BY id",
        (turn_id, 2**62 if message_id is None else message_id),
    ).fetchall()
    if not texts:
        raise Conflict("The message was deleted: there is nothing that could be answered again.")
    messages = connection.execute_sql("SELECT message FROM model_messages WHERE turn_id = ? ORDER BY id", (turn_id,))
    return Source(session, turn_id, tuple(row[0] for row in texts), tuple(row[0] for row in messages.fetchall()))


def accept(
    connection: peewee.Database,
    request: TurnRequest,
    *,
    session_id: str,
    beside: str,
    texts: Sequence[str],
    turn_id: str,
    user_json: str,
    model: str,
    now: datetime,
) -> Accepted:
    """Store a turn that stands beside the turn `beside`: same past, the user's messages `texts`. Conflict while it is busy."""
    user_id = request.key.user_id
    if request.client_message_id and (
        known := store.find_client_message(connection, user_id, request.client_message_id)
    ):
        return Accepted("duplicate", known[1], known[0])
    if sessions.find_session(connection, session_id, None) is None:
        raise NotFound(f"Session {session_id!r} not found")
    if store.unfinished(connection, session_id):
        raise Conflict(BUSY)
    (parent_id,) = connection.execute_sql("SELECT parent_id FROM turns WHERE id = ?", (beside,)).fetchone()
    show(connection, session_id, parent_id)
    store.insert_turn(connection, turn_id, session_id, user_id, request, model, is_running=True, now=now)
    connection.execute_sql(
        "UPDATE session_metadata SET last_message_at = ? WHERE id = ?", (format_time(now), session_id)
    )
    for text in texts:
        message_id = sessions.add_message(connection, session_id, turn_id, "user", text, now)
    connection.execute_sql(
        "INSERT INTO attachments (id, session_id, turn_id, direction, file_name, mime_type, size_bytes, path, created_at) "
        "SELECT ? || '.' || substr(id, -36), session_id, ?, direction, file_name, mime_type, size_bytes, path, created_at "
        "FROM attachments WHERE turn_id = ? AND direction = 'in'",
        (turn_id, turn_id, beside),
    )
    begun = store.begin_turn(connection, turn_id, session_id, user_json, now)
    return Accepted("new", session_id, turn_id, message_id, begun)


def show(connection: peewee.Database, session_id: str, head_turn_id: str | None) -> None:
    """Show the path that ends in this turn, and nothing else; None shows none."""
    connection.execute_sql(
        "WITH RECURSIVE path (id) AS (SELECT ? UNION ALL "
        "SELECT turns.parent_id FROM turns JOIN path ON turns.id = path.id WHERE turns.parent_id IS NOT NULL) "
        "UPDATE turns SET is_hidden = CASE WHEN id IN (SELECT id FROM path WHERE id IS NOT NULL) THEN 0 ELSE 1 END "
        "WHERE session_id = ?",
        (head_turn_id, session_id),
    )
    connection.execute_sql("UPDATE session_metadata SET head_turn_id = ? WHERE id = ?", (head_turn_id, session_id))


def activate(
    connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None, turn_id: str
) -> list[Branch]:
    """Show the branch that goes through a turn, down to its newest end. Raises NotFound, Conflict while the session is busy."""
    known = {branch.turn_id: branch for branch in _all(connection, session_id, owner_ids)}
    if turn_id not in known:
        raise NotFound("There is no such branch in this session")
    if store.unfinished(connection, session_id):
        raise Conflict(BUSY)
    newest_child = {branch.parent_id: branch.turn_id for branch in known.values()}
    head = turn_id
    while head in newest_child:
        head = newest_child[head]
    show(connection, session_id, head)
    return branches(connection, session_id, owner_ids)


def branches(connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None) -> list[Branch]:
    """The turns that have others beside them, in the order they were asked. NotFound for a session these owners may not see."""
    found = _all(connection, session_id, owner_ids)
    beside: dict[str | None, int] = {}
    for branch in found:
        beside[branch.parent_id] = beside.get(branch.parent_id, 0) + 1
    return [branch for branch in found if beside[branch.parent_id] > 1]


def _all(connection: peewee.Database, session_id: str, owner_ids: tuple[str, ...] | None) -> list[Branch]:
    if sessions.find_session(connection, session_id, owner_ids) is None:
        raise NotFound(f"Session {session_id!r} not found")
    rows = connection.execute_sql(
        "SELECT turns.id, parent_id, min(message.id), turns.text, state, model, created_at, is_hidden FROM turns "
        "JOIN session_messages AS message ON message.turn_id = turns.id AND message.role = 'user' "
        "WHERE turns.session_id = ? GROUP BY turns.id ORDER BY min(message.id)",
        (session_id,),
    ).fetchall()
    return [Branch(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7] == 0) for row in rows]
