"""Vectors of chunks in a file of their own, by sqlite-vec. It can be deleted at any time: what is missing is embedded again.

Through apsw, because the standard library's sqlite3 often cannot load extensions. Both come with the extra `semantic`.
Every function blocks; all of them belong on one thread.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peewee import DatabaseError, OperationalError

from starpod.errors import InvalidInput

SCHEMA = 1


@dataclass(frozen=True, slots=True, order=True)
class ChunkRef:
    """A chunk by its owner ("" for the agent's own) and the hash of its text, so that a rebuilt index finds its vectors again."""

    owner: str
    hash: str


class VectorStore:
    """One model's vectors. All have the same length, which the first ones decide."""

    def __init__(self, path: Path) -> None:
        """Open or create the file; one that is damaged or older is begun anew. InvalidInput when the packages are missing."""
        try:
            import sqlite_vec  # type: ignore[import-untyped]
            from playhouse.apsw_ext import APSWDatabase  # type: ignore[import-untyped]
        except ImportError as error:
            raise InvalidInput(
                "search by meaning needs more packages: run pip install 'starpod[semantic]' and start again"
            ) from error
        try:
            self._database = self._open(APSWDatabase, path, sqlite_vec.loadable_path())
        except DatabaseError as error:
            if isinstance(error, OperationalError):  # locked, no space, not readable: the file itself may be sound
                raise
            for part in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
                part.unlink(missing_ok=True)
            self._database = self._open(APSWDatabase, path, sqlite_vec.loadable_path())

    @property
    def model(self) -> str | None:
        """What made the vectors, None while there are none."""
        rows = self._rows("SELECT model FROM source")
        return rows[0][0] if rows else None

    def use(self, model: str) -> None:
        """Forget the vectors that another model made: they cannot be compared."""
        if self.model not in (model, None):
            self._forget()

    def difference(self, wanted: Collection[ChunkRef]) -> tuple[list[ChunkRef], list[ChunkRef]]:
        """(what of `wanted` has no vector yet, what has one and is not in `wanted`), both sorted."""
        wanted = set(wanted)
        stored = {ChunkRef(owner, digest) for owner, digest in self._rows("SELECT owner, hash FROM chunk")}
        return sorted(wanted - stored), sorted(stored - wanted)

    def remove(self, refs: Iterable[ChunkRef]) -> None:
        """Delete the vectors of `refs`; about 0.1 ms each, so a search that waits behind many needs them in batches."""
        with self._database.atomic():
            for ref in refs:
                for (number,) in self._rows("SELECT id FROM chunk WHERE owner = ? AND hash = ?", ref.owner, ref.hash):
                    self._rows("DELETE FROM chunk WHERE id = ?", number)
                    self._rows("DELETE FROM vector WHERE rowid = ?", number)

    def put(self, model: str, refs: Sequence[ChunkRef], vectors: Sequence[Sequence[float]]) -> None:
        """Store the vectors of `refs`. A new length means that the model has changed behind its name: the old ones go."""
        with self._database.atomic():
            length = len(vectors[0])
            if [(model, length)] != self._rows("SELECT model, length FROM source"):
                self._begin(model, length)
            for ref, vector in zip(refs, vectors, strict=True):
                self._rows("INSERT INTO chunk (owner, hash) VALUES (?, ?) ON CONFLICT DO NOTHING", ref.owner, ref.hash)
                number = self._rows("SELECT id FROM chunk WHERE owner = ? AND hash = ?", ref.owner, ref.hash)[0][0]
                self._rows("DELETE FROM vector WHERE rowid = ?", number)
                self._rows(
                    "INSERT INTO vector (rowid, owner, embedding) VALUES (?, ?, ?)", number, ref.owner, _packed(vector)
                )

    def nearest(self, model: str, vector: Sequence[float], owners: Iterable[str], limit: int) -> list[ChunkRef]:
        """The `limit` nearest by cosine distance among the chunks of `owners`, nearest first. Reads every vector of theirs."""
        if [(model, len(vector))] != self._rows("SELECT model, length FROM source"):
            return []
        found: list[tuple[float, ChunkRef]] = []
        for owner in set(owners):
            rows = self._rows(
                "SELECT near.distance, chunk.hash FROM "
                "(SELECT rowid, distance FROM vector WHERE embedding MATCH ? AND k = ? AND owner = ?) AS near "
                "JOIN chunk ON chunk.id = near.rowid",
                _packed(vector), limit, owner,
            )  # fmt: skip
            found += [(distance, ChunkRef(owner, digest)) for distance, digest in rows if distance is not None]
        return [ref for _, ref in sorted(found)[:limit]]

    def count(self) -> int:
        """How many chunks have a vector."""
        return int(self._rows("SELECT count(*) FROM chunk")[0][0])

    def close(self) -> None:
        self._database.close()

    @staticmethod
    def _open(engine: Any, path: Path, extension: str) -> Any:
        path.touch(mode=0o600)
        database = engine(str(path), thread_safe=False, pragmas={"journal_mode": "wal", "synchronous": "normal"})
        database.load_extension(extension)
        try:
            if database.execute_sql("PRAGMA user_version").fetchone()[0] != SCHEMA:
                with database.atomic():
                    for table in ("source", "chunk", "vector"):
                        database.execute_sql("DROP TABLE IF EXISTS " + table)
                    database.execute_sql("CREATE TABLE source (model TEXT NOT NULL, length INTEGER NOT NULL)")
                    database.execute_sql(
                        "CREATE TABLE chunk (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, hash TEXT NOT NULL, UNIQUE (owner, hash))"
                    )
                    database.execute_sql("PRAGMA user_version = 1")
        except BaseException:
            database.close()
            raise
        return database

    def _begin(self, model: str, length: int) -> None:
        self._forget()
        self._rows("INSERT INTO source (model, length) VALUES (?, ?)", model, length)
        # The length is part of the table's declaration, where no parameter can stand.
        self._rows(
            "CREATE VIRTUAL TABLE vector USING vec0(owner TEXT PARTITION KEY, embedding FLOAT["
            + str(int(length))
            + "] distance_metric=cosine)"
        )

    def _forget(self) -> None:
        with self._database.atomic():
            self._rows("DROP TABLE IF EXISTS vector")
            self._rows("DELETE FROM chunk")
            self._rows("DELETE FROM source")

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return list(self._database.execute_sql(sql, values).fetchall())


def _packed(vector: Sequence[float]) -> bytes:
    """Little-endian 32-bit floats on every machine that sqlite-vec runs on."""
    return array("f", vector).tobytes()
