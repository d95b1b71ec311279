"""The database threads: one that writes, a few that read. Nothing else in the gateway touches a connection.

Store functions are plain synchronous functions whose first argument is the peewee database: `run` gives them one transaction on the
writer thread, `read` a reader thread. Errors of the engine become `Unavailable` with a text that says what to do.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import peewee

from starpod.errors import Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PRAGMAS = {
    "journal_mode": "wal",
    "foreign_keys": 1,
    "synchronous": "normal",
    "busy_timeout": 5000,
    "temp_store": "memory",
    # In kB for each connection, and each thread has one. What is not there comes from the cache of the system, in microseconds.
    "cache_size": -1000,
}


class Database:
    """One SQLite file with its threads. `open` before use, `close` at the end."""

    def __init__(self, path: Path, *, readers: int = 2, busy_timeout_ms: int = 5000) -> None:
        self.path = path
        pragmas = PRAGMAS | {"busy_timeout": busy_timeout_ms}
        self.connection = peewee.SqliteDatabase(str(path), pragmas=pragmas, timeout=busy_timeout_ms / 1000)
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{path.stem}-writer")
        self._readers = ThreadPoolExecutor(max_workers=readers, thread_name_prefix=f"{path.stem}-reader")
        self.generation = 0
        """Grows with every write of this process: what was read at one generation is still true while it has not changed."""
        self._reader_count = readers
        self.observe: Callable[[str, float], None] | None = None
        """Called in the database's threads with "read" or "write" and the seconds that it took."""
        self._closed = False

    async def run(self, fn: Callable[Concatenate[peewee.Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, ...)` on the writer thread as one transaction. Raises what `fn` raises, and `Unavailable`.

        A caller that is cancelled while waiting gets its CancelledError at once; the transaction still runs whole or not at all.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: self.run_here(fn, *args, **kwargs))

    async def read(self, fn: Callable[Concatenate[peewee.Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(connection, ...)` on a reader thread, outside any transaction. Raises what `fn` raises, and `Unavailable`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self.read_here(fn, *args, **kwargs))

    async def check(
        self, fn: Callable[Concatenate[peewee.Database, P], object], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """`read`, only to see whether it works: whatever the engine says becomes `Unavailable`."""
        try:
            await self.read(fn, *args, **kwargs)
        except peewee.DatabaseError as error:
            logger.warning("the database does not answer as it should: %s", error)
            raise Unavailable("The database does not answer as it should; the log says more.") from error

    def run_here(self, fn: Callable[Concatenate[peewee.Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`run` on the calling thread: for the command line and for tests, never for the event loop."""
        began = time.perf_counter()
        try:
            with self.connection.atomic("IMMEDIATE"):
                return fn(self.connection, *args, **kwargs)
        except peewee.DatabaseError as error:
            raise self._translate(error) from error
        finally:
            self.generation += 1
            if self.observe is not None:
                self.observe("write", time.perf_counter() - began)

    def read_here(self, fn: Callable[Concatenate[peewee.Database, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`read` on the calling thread."""
        began = time.perf_counter()
        try:
            return fn(self.connection, *args, **kwargs)
        except peewee.DatabaseError as error:
            raise self._translate(error) from error
        finally:
            if self.observe is not None:
                self.observe("read", time.perf_counter() - began)

    def leave(self) -> None:
        """Close the calling thread's connection, which holds hundreds of kilobytes; what it calls next opens another."""
        self.connection.close()

    def close(self) -> None:
        """Finish what was accepted, close the connections of all threads and end the threads. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for pool, threads in ((self._readers, self._reader_count), (self._writer, 1)):
            # Each thread has a connection of its own; the barrier keeps one thread from closing for all.
            barrier = threading.Barrier(threads)
            for _ in range(threads):
                pool.submit(self._close_here, barrier)
            pool.shutdown(wait=True)
        self.connection.close()

    def _close_here(self, barrier: threading.Barrier) -> None:
        barrier.wait(timeout=10.0)
        self.connection.close()

    def _translate(self, error: peewee.DatabaseError) -> Exception:
        if isinstance(error, peewee.IntegrityError):
            return error
        text = _whole_text(error)
        if "locked" in text or "busy" in text:
            return Unavailable(
                "The database is locked by another process. Close that process or try again in a moment."
            )
        if "full" in text or "disk I/O" in text:
            return Unavailable("The disk that holds the database is full or failing. Free some space, then try again.")
        if "readonly" in text or "unable to open" in text:
            return Unavailable("The database cannot be written. Check the permissions of the db folder.")
        if "malformed" in text or "not a database" in text:
            return Unavailable("The database file is damaged. Stop the gateway and restore a backup.")
        return error


def _whole_text(error: BaseException) -> str:
    """The texts of an error and those behind it: SQLite rolls back by itself on a full disk, and peewee's own rollback then hides that."""
    texts: list[str] = []
    each: BaseException | None = error
    while each is not None and len(texts) < 10:
        texts.append(str(each))
        each = each.__cause__ or each.__context__
    return "; ".join(texts)
