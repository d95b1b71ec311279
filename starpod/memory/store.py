"""SQL of the memory index: one file that can be deleted and built again. FTS5 stays behind this module.

The number of a chunk says whose it is and of which kind (`low`, `high`), because FTS5 can walk a range of numbers but knows no owners.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import peewee

from starpod.memory import scripts
from starpod.memory.stems_store import HAS_LETTERS, STEMS, TOKENIZER
from starpod.memory.types import KINDS, Candidate, Chunk, FileState, Filters, Kind, Scope, SessionMessage

Connection: TypeAlias = peewee.Database

SCHEMA = 3
_SPAN = 1 << 32
_STATEMENTS = (
    "CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE source (
        id INTEGER PRIMARY KEY, owner_id INTEGER NOT NULL REFERENCES owner (id), kind INTEGER NOT NULL, name TEXT NOT NULL,
        mtime_ns INTEGER NOT NULL DEFAULT 0, size_bytes INTEGER NOT NULL DEFAULT 0, digest TEXT NOT NULL DEFAULT '',
        UNIQUE (owner_id, kind, name))""",
    """CREATE TABLE chunk (
        id INTEGER PRIMARY KEY, source_id INTEGER NOT NULL REFERENCES source (id), message_id INTEGER, role TEXT,
        line_start INTEGER NOT NULL, line_end INTEGER NOT NULL, date TEXT NOT NULL, digest TEXT NOT NULL,
        context TEXT NOT NULL, text TEXT NOT NULL)""",
    "CREATE INDEX chunk_source ON chunk (source_id, id)",
    "CREATE INDEX chunk_date ON chunk (date)",
    "CREATE INDEX chunk_digest ON chunk (digest)",
    f"CREATE VIRTUAL TABLE words USING fts5(text, context, grams, content='', tokenize=\"{TOKENIZER}\")",
    "CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, 'row')",
    "CREATE TABLE term (id INTEGER PRIMARY KEY, stem TEXT NOT NULL UNIQUE, frequency INTEGER NOT NULL)",
    "CREATE VIRTUAL TABLE spelling USING fts5(stem, content='', tokenize='trigram', detail='none')",
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
)
_CANDIDATE = (
    "SELECT chunk.id, owner.name, source.kind, source.name, chunk.text, chunk.context, chunk.line_start, chunk.line_end, chunk.date, "
    "chunk.message_id, chunk.role, chunk.digest FROM chunk JOIN source ON source.id = chunk.source_id "
    "JOIN owner ON owner.id = source.owner_id WHERE chunk.id IN ("
)


def create(connection: Connection) -> None:
    """Make the tables of an empty file."""
    for statement in _STATEMENTS:
        connection.execute_sql(statement)
    set_setting(connection, "schema", str(SCHEMA))


def is_current(connection: Connection) -> bool:
    """Whether the file holds an index of this version."""
    if not connection.table_exists("setting"):
        return False
    return get_setting(connection, "schema") == str(SCHEMA)


def bulk_mode(connection: Connection) -> None:
    """Hold more in memory before it is written and merged."""
    connection.execute_sql("INSERT INTO words (words, rank) VALUES ('hashsize', 16777216)")


def finish_bulk(connection: Connection) -> None:
    """Merge what `bulk_mode` left in parts, and count the words."""
    count_terms(connection)
    connection.execute_sql("INSERT INTO words (words, rank) VALUES ('hashsize', 1048576)")


def checkpoint(connection: Connection) -> None:
    """Bring everything from the write-ahead log into the file."""
    connection.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def get_setting(connection: Connection, name: str) -> str:
    """A remembered value, empty when there is none."""
    row = connection.execute_sql("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def set_setting(connection: Connection, name: str, value: str) -> None:
    """Remember a value."""
    connection.execute_sql("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, value))


def counts(connection: Connection) -> tuple[int, int]:
    """How many files and chunks are indexed."""
    files = connection.execute_sql("SELECT count(*) FROM source WHERE kind = 0").fetchone()[0]
    return int(files), chunk_count(connection)


def chunk_count(connection: Connection) -> int:
    """How many chunks are indexed."""
    return int(connection.execute_sql("SELECT count(*) FROM chunk").fetchone()[0])


def file_states(connection: Connection, owner: str | None = None) -> list[FileState]:
    """The files as they were when they were indexed, of one owner or of all."""
    rows = connection.execute_sql(
        "SELECT owner.name, source.name, mtime_ns, size_bytes, digest FROM source JOIN owner ON owner.id = owner_id "
        "WHERE kind = 0 AND (? IS NULL OR owner.name = ?)",
        (owner, owner),
    )
    return [FileState(*row) for row in rows]


def touch_file(connection: Connection, state: FileState) -> None:
    """The file has another time but the same content."""
    _source_id(connection, Scope(state.owner, "file"), state.source, state)


def put_file(connection: Connection, state: FileState, chunks: Sequence[tuple[str, Chunk]], *, learn: bool) -> int:
    """Bring the index in line with a file's chunks (each with its digest): only those that changed are written. Returns how many.

    Without `learn` their words are not counted: who loads much calls `count_terms` at the end.
    """
    scope = Scope(state.owner, "file")
    source_id = _source_id(connection, scope, state.source, state)
    old: dict[str, list[tuple[int, int, int]]] = {}
    for chunk_id, digest, first, last in connection.execute_sql(
        "SELECT id, digest, line_start, line_end FROM chunk WHERE source_id = ? ORDER BY id", (source_id,)
    ):
        old.setdefault(digest, []).append((chunk_id, first, last))
    added: list[tuple[str, Chunk]] = []
    for digest, chunk in chunks:
        if known := old.get(digest):
            chunk_id, first, last = known.pop(0)
            if (first, last) != (chunk.line_start, chunk.line_end):
                connection.execute_sql(
                    "UPDATE chunk SET line_start = ?, line_end = ? WHERE id = ?",
                    (chunk.line_start, chunk.line_end, chunk_id),
                )
        else:
            added.append((digest, chunk))
    _delete(connection, [each[0] for left in old.values() for each in left])
    _insert(connection, source_id, scope, [(None, None, digest, chunk) for digest, chunk in added], learn=learn)
    return len(added)


def delete_file(connection: Connection, owner: str, source: str) -> None:
    """Forget a file."""
    row = connection.execute_sql(
        "SELECT source.id FROM source JOIN owner ON owner.id = owner_id WHERE kind = 0 AND owner.name = ? AND source.name = ?",
        (owner, source),
    ).fetchone()
    if row is not None:
        _delete_source(connection, row[0])


def put_messages(
    connection: Connection, messages: Sequence[tuple[SessionMessage, Sequence[tuple[str, Chunk]]]], *, learn: bool
) -> None:
    """Add messages, each with its chunks, and remember how far we got."""
    for message, chunks in messages:
        scope = Scope(message.owner, "message")
        source_id = _source_id(connection, scope, message.session_id, None)
        rows = [(message.id, message.role, digest, chunk) for digest, chunk in chunks]
        _insert(connection, source_id, scope, rows, learn=learn)
    if messages:
        set_setting(connection, "last_message", str(messages[-1][0].id))


def message_sessions(connection: Connection) -> list[str]:
    """The sessions that have messages here."""
    return [row[0] for row in connection.execute_sql("SELECT name FROM source WHERE kind = 1")]


def delete_session(connection: Connection, session_id: str) -> None:
    """Forget the messages of a session."""
    for row in connection.execute_sql("SELECT id FROM source WHERE kind = 1 AND name = ?", (session_id,)).fetchall():
        _delete_source(connection, row[0])


def delete_messages(connection: Connection, session_id: str, message_ids: Sequence[int]) -> int:
    """Forget single messages of a session; returns how many pieces that were."""
    rows = connection.execute_sql(
        "SELECT chunk.id FROM chunk JOIN source ON source.id = chunk.source_id WHERE kind = 1 AND name = ? "
        f"AND message_id IN ({_places(message_ids)})",
        (session_id, *message_ids),
    ).fetchall()
    _delete(connection, [row[0] for row in rows])
    return len(rows)


def frequencies(connection: Connection, stems: Sequence[str]) -> dict[str, int]:
    """How many chunks hold each stem; those that none holds are left out."""
    rows = connection.execute_sql(
        f"SELECT stem, frequency FROM term WHERE frequency > 0 AND stem IN ({_places(stems)})", tuple(stems)
    )
    return {row[0]: int(row[1]) for row in rows}


def stems_from(connection: Connection, prefix: str, limit: int) -> list[tuple[str, int]]:
    """Stems that begin with `prefix` and their frequencies, the most frequent of the first 400 first."""
    rows = connection.execute_sql(
        "SELECT stem, frequency FROM (SELECT stem, frequency FROM term WHERE stem >= ? AND stem < ? LIMIT 400) "
        "WHERE frequency > 0 ORDER BY frequency DESC LIMIT ?",
        (prefix, prefix + "\U0010ffff", limit),
    )
    return [(row[0], int(row[1])) for row in rows]


def stems_like(connection: Connection, word: str, limit: int) -> list[tuple[str, int]]:
    """Stems that share three letters in a row with `word`, and frequencies: those that share most come first."""
    pieces = dict.fromkeys(word[start : start + 3] for start in range(len(word) - 2))
    if not pieces:
        return []
    shared: dict[int, int] = {}
    for piece in pieces:
        for row in connection.execute_sql(
            "SELECT rowid FROM spelling WHERE spelling MATCH ? LIMIT 3000", (_quoted(piece),)
        ):
            shared[row[0]] = shared.get(row[0], 0) + 1
    best = sorted(shared, key=lambda number: -shared[number])[:limit]
    rows = connection.execute_sql(
        f"SELECT stem, frequency FROM term WHERE frequency > 0 AND id IN ({_places(best)})", tuple(best)
    )
    return [(row[0], int(row[1])) for row in rows]


def ranges(connection: Connection, scopes: Iterable[Scope]) -> list[tuple[int, int]]:
    """The numbers that chunks of these scopes can have, as first and last."""
    found = []
    for scope in scopes:
        row = connection.execute_sql("SELECT id FROM owner WHERE name = ?", (scope.owner,)).fetchone()
        if row is not None:
            low = _low(row[0], scope.kind)
            found.append((low, low + _SPAN - 1))
    found.sort()
    joined: list[tuple[int, int]] = []
    for low, high in found:
        if joined and joined[-1][1] + 1 == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def matching(
    connection: Connection, expression: str, span: tuple[int, int], filters: Filters, limit: int, *, ranked: bool
) -> list[int]:
    """Numbers of chunks that match an FTS5 expression: the best by bm25, or simply the latest of them, which costs far less."""
    where = "words MATCH ? AND words.rowid BETWEEN ? AND ?"
    values: list[Any] = [expression, *span]
    table = "words"
    if filters != Filters():
        table = "words CROSS JOIN chunk ON chunk.id = words.rowid"
        where, values = _filtered(where, values, filters)
    order = "bm25(words, 1.0, 0.6, 1.0)" if ranked else "words.rowid DESC"
    if ranked:
        # Sorting by an alias is twice as fast as sorting by the hidden column `rank`.
        sql = f"SELECT words.rowid, {order} AS points FROM {table} WHERE {where} ORDER BY points LIMIT ?"
    else:
        sql = f"SELECT words.rowid FROM {table} WHERE {where} ORDER BY {order} LIMIT ?"
    return [row[0] for row in connection.execute_sql(sql, (*values, limit))]


def within_days(
    connection: Connection, days: tuple[str, str], span: tuple[int, int], filters: Filters, limit: int
) -> list[int]:
    """Numbers of chunks of these days, the latest day first."""
    where, values = _filtered("chunk.date BETWEEN ? AND ? AND chunk.id BETWEEN ? AND ?", [*days, *span], filters)
    rows = connection.execute_sql(
        f"SELECT chunk.id FROM chunk WHERE {where} ORDER BY chunk.date DESC, chunk.id LIMIT ?", (*values, limit)
    )
    return [row[0] for row in rows]


def candidates(connection: Connection, numbers: Iterable[int]) -> list[Candidate]:
    """The chunks of these numbers, in order; those that are gone are left out."""
    wanted = list(numbers)
    rows = connection.execute_sql(f"{_CANDIDATE}{_places(wanted)})", tuple(wanted))
    found = {row[0]: Candidate(row[0], row[1], KINDS[row[2]], *row[3:]) for row in rows}
    return [found[number] for number in wanted if number in found]


def numbers_of(connection: Connection, keys: Iterable[tuple[str, str]]) -> list[int]:
    """One chunk for each owner and digest, in order; those that are gone are left out."""
    found = []
    for owner, digest in keys:
        row = connection.execute_sql(
            "SELECT chunk.id FROM chunk JOIN source ON source.id = source_id JOIN owner ON owner.id = owner_id "
            "WHERE chunk.digest = ? AND owner.name = ? LIMIT 1",
            (digest, owner),
        ).fetchone()
        if row is not None:
            found.append(row[0])
    return found


def keys(connection: Connection) -> list[tuple[str, str]]:
    """Owner and digest of every chunk."""
    rows = connection.execute_sql(
        "SELECT owner.name, chunk.digest FROM chunk JOIN source ON source.id = source_id JOIN owner ON owner.id = owner_id"
    )
    return [(row[0], row[1]) for row in rows]


def count_terms(connection: Connection) -> None:
    """Count all words anew: one walk through the index."""
    connection.execute_sql("DELETE FROM term")
    connection.execute_sql("INSERT INTO spelling (spelling) VALUES ('delete-all')")
    connection.execute_sql(f"INSERT INTO term (stem, frequency) SELECT term, doc FROM vocabulary WHERE {HAS_LETTERS}")
    connection.execute_sql(
        "INSERT INTO spelling (rowid, stem) SELECT id, stem FROM term WHERE length(stem) BETWEEN 4 AND 24 AND stem NOT GLOB '*[0-9]*'"
    )


def _filtered(where: str, values: list[Any], filters: Filters) -> tuple[str, list[Any]]:
    if filters.source is not None:
        where += " AND chunk.source_id IN (SELECT id FROM source WHERE name = ?)"
        values = [*values, filters.source]
    if filters.since is not None:
        where += " AND chunk.date >= ?"
        values = [*values, filters.since]
    if filters.until is not None:
        where += " AND chunk.date != '' AND chunk.date <= ?"
        values = [*values, filters.until]
    return where, values


def _places(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _low(owner_id: int, kind: Kind) -> int:
    return int((owner_id * 2 + KINDS.index(kind)) * _SPAN)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _source_id(connection: Connection, scope: Scope, name: str, state: FileState | None) -> int:
    connection.execute_sql("INSERT OR IGNORE INTO owner (name) VALUES (?)", (scope.owner,))
    owner_id = connection.execute_sql("SELECT id FROM owner WHERE name = ?", (scope.owner,)).fetchone()[0]
    stamp = (state.mtime_ns, state.size_bytes, state.digest) if state is not None else (0, 0, "")
    row = connection.execute_sql(
        "INSERT INTO source (owner_id, kind, name, mtime_ns, size_bytes, digest) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (owner_id, kind, name) DO UPDATE SET mtime_ns = excluded.mtime_ns, size_bytes = excluded.size_bytes, "
        "digest = excluded.digest RETURNING id",
        (owner_id, KINDS.index(scope.kind), name, *stamp),
    ).fetchone()
    return int(row[0])


def _insert(
    connection: Connection,
    source_id: int,
    scope: Scope,
    rows: Sequence[tuple[int | None, str | None, str, Chunk]],
    *,
    learn: bool,
) -> None:
    if not rows:
        return
    owner_id = connection.execute_sql("SELECT id FROM owner WHERE name = ?", (scope.owner,)).fetchone()[0]
    low = _low(owner_id, scope.kind)
    last = connection.execute_sql("SELECT max(id) FROM chunk WHERE id BETWEEN ? AND ?", (low, low + _SPAN - 1))
    number = int(last.fetchone()[0] or low)
    for message_id, role, digest, chunk in rows:
        number += 1
        connection.execute_sql(
            "INSERT INTO chunk (id, source_id, message_id, role, line_start, line_end, date, digest, context, text) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number, source_id, message_id, role, chunk.line_start, chunk.line_end, chunk.date, digest, chunk.context, chunk.text),
        )  # fmt: skip
        connection.execute_sql(
            "INSERT INTO words (rowid, text, context, grams) VALUES (?, ?, ?, ?)",
            (number, *_indexed(chunk.text, chunk.context)),
        )
        if learn:
            _learn(connection, chunk)


def _indexed(text: str, context: str) -> tuple[str, str, str]:
    """What the three columns of a chunk hold."""
    around = f"{scripts.plain(scripts.without_runs(context))} {scripts.joined_numbers(text)}"
    return scripts.plain(scripts.without_runs(text)), around, scripts.gram_text(f"{context}\n{text}")


def _delete(connection: Connection, numbers: Iterable[int]) -> None:
    for number in numbers:
        row = connection.execute_sql("SELECT text, context FROM chunk WHERE id = ?", (number,)).fetchone()
        connection.execute_sql(
            "INSERT INTO words (words, rowid, text, context, grams) VALUES ('delete', ?, ?, ?, ?)",
            (number, *_indexed(row[0], row[1])),
        )
        connection.execute_sql("DELETE FROM chunk WHERE id = ?", (number,))


def _delete_source(connection: Connection, source_id: int) -> None:
    rows = connection.execute_sql("SELECT id FROM chunk WHERE source_id = ?", (source_id,)).fetchall()
    _delete(connection, [row[0] for row in rows])
    connection.execute_sql("DELETE FROM source WHERE id = ?", (source_id,))


def _learn(connection: Connection, chunk: Chunk) -> None:
    """Count the words of one more chunk. What a deleted chunk held stays counted until the next rebuild: frequencies only guide."""
    stems = STEMS.all_of(" ".join(_indexed(chunk.text, chunk.context)))
    for stem in stems:
        row = connection.execute_sql(
            "INSERT INTO term (stem, frequency) VALUES (?, 1) ON CONFLICT (stem) DO UPDATE SET frequency = frequency + 1 "
            "RETURNING id, frequency",
            (stem,),
        ).fetchone()
        if row[1] == 1 and 4 <= len(stem) <= 24 and not any(letter.isdigit() for letter in stem):
            connection.execute_sql("INSERT INTO spelling (rowid, stem) VALUES (?, ?)", (row[0], stem))
