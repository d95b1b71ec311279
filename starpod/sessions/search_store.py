"""SQL of the search over conversations. The index (FTS5) follows the messages: it is brought up to date before it is asked."""

from __future__ import annotations

import json

import peewee

from starpod.sessions.search import expression, segmented, snippet, title_score
from starpod.sessions.types import SessionHit

BATCH = 500
BATCH_CHARACTERS = 400_000
MOST_CHARACTERS = 200_000
MOST_TITLES = 5_000
CANDIDATES = 400
ALL_WORDS, WHOLE_TITLE = 100.0, 200.0
SNIPPET_FROM = 4_000


def is_behind(connection: peewee.Database) -> bool:
    """Whether there are messages that the index does not hold yet."""
    row = connection.execute_sql(
        "SELECT coalesce((SELECT max(id) FROM session_messages), 0) > (SELECT upto_id FROM message_search_state)"
    ).fetchone()
    return bool(row[0])


def catch_up(connection: peewee.Database) -> None:
    """Index the next messages, as many as do not hold up other writers."""
    (upto_id,) = connection.execute_sql("SELECT upto_id FROM message_search_state").fetchone()
    rows = connection.execute_sql(
        "SELECT id, role, CASE WHEN role IN ('user', 'assistant') THEN substr(content, 1, ?) END FROM session_messages "
        "WHERE id > ? ORDER BY id LIMIT ?",
        (MOST_CHARACTERS, upto_id, BATCH),
    )
    characters = 0
    for message_id, _, content in rows.fetchall():
        if content is not None:
            connection.execute_sql(
                "INSERT INTO message_search (rowid, body) VALUES (?, ?)", (message_id, segmented(content))
            )
            characters += len(content)
        upto_id = message_id
        if characters > BATCH_CHARACTERS:
            break
    connection.execute_sql("UPDATE message_search_state SET upto_id = ?", (upto_id,))


def forget(connection: peewee.Database, session_id: str) -> None:
    """Take the messages of a session out of the index."""
    connection.execute_sql(
        "DELETE FROM message_search WHERE rowid IN (SELECT id FROM session_messages WHERE session_id = ?)",
        (session_id,),
    )


def forget_messages(connection: peewee.Database, message_ids: tuple[int, ...]) -> None:
    """Take single messages out of the index."""
    connection.execute_sql(
        "DELETE FROM message_search WHERE rowid IN (SELECT value FROM json_each(?))", (json.dumps(message_ids),)
    )


def search(
    connection: peewee.Database, owner_ids: tuple[str, ...] | None, words: tuple[str, ...], limit: int
) -> list[SessionHit]:
    """One hit a session: by title first, then messages that hold all words, then those that hold some."""
    hits: dict[str, SessionHit] = {}
    for joiner in ("AND", "OR"):
        if joiner == "OR" and (len(hits) >= limit or len(words) == 1):
            break
        for hit in _messages(connection, owner_ids, words, joiner, limit):
            hits.setdefault(hit.session_id, hit)
    for hit in _titles(connection, owner_ids, words):
        known = hits.get(hit.session_id)
        if known is None or hit.score > known.score:
            hits[hit.session_id] = hit
    return sorted(hits.values(), key=lambda hit: (hit.score, hit.last_message_at), reverse=True)[:limit]


def _messages(
    connection: peewee.Database, owner_ids: tuple[str, ...] | None, words: tuple[str, ...], joiner: str, limit: int
) -> list[SessionHit]:
    owners = None if owner_ids is None else json.dumps(owner_ids)
    rows = connection.execute_sql(
        "SELECT session.id, session.title, session.last_message_at, message.id, message.role, message.timestamp, "
        "substr(message.content, 1, ?), bm25(message_search) AS rank FROM message_search "
        "JOIN session_messages AS message ON message.id = message_search.rowid "
        "JOIN session_metadata AS session ON session.id = message.session_id "
        "WHERE message_search MATCH ? AND session.deleted_at IS NULL "
        "AND (? IS NULL OR session.user_id IN (SELECT value FROM json_each(?))) ORDER BY rank LIMIT ?",
        (SNIPPET_FROM, expression(words, joiner), owners, owners, CANDIDATES),
    )
    hits: dict[str, SessionHit] = {}
    for session_id, title, last, message_id, role, timestamp, content, rank in rows:
        if session_id not in hits:
            text, marks = snippet(content, words)
            score = round(ALL_WORDS * (joiner == "AND") - rank, 4)
            hits[session_id] = SessionHit(session_id, title, last, message_id, role, timestamp, text, marks, score)
        if len(hits) == limit:
            break
    return list(hits.values())


def _titles(connection: peewee.Database, owner_ids: tuple[str, ...] | None, words: tuple[str, ...]) -> list[SessionHit]:
    owners = None if owner_ids is None else json.dumps(owner_ids)
    rows = connection.execute_sql(
        "SELECT id, title, last_message_at FROM session_metadata AS session WHERE title IS NOT NULL AND deleted_at IS NULL "
        "AND (? IS NULL OR user_id IN (SELECT value FROM json_each(?))) ORDER BY last_message_at DESC LIMIT ?",
        (owners, owners, MOST_TITLES),
    )
    hits = []
    for session_id, title, last in rows:
        share = title_score(title, words)
        if share >= 0.5:
            text, marks = snippet(title, words)
            score = round(WHOLE_TITLE + share if share == 1.0 else share, 4)
            hits.append(SessionHit(session_id, title, last, None, None, None, text, marks, score))
    return hits
