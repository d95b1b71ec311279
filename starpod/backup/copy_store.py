"""Copies and checks SQLite files as such, whatever tables they hold. Blocks: run it in a thread or on the command line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from starpod.errors import Unavailable

MAGIC = b"SQLite format 3\x00"


def is_database(path: Path) -> bool:
    """Whether the file begins as SQLite files do. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that others may be writing, as of one moment. Unavailable with the reason."""
    address = f"{source.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=30)) as live, closing(sqlite3.connect(target)) as copy:
            # Until it is in the archive the copy need not survive a crash; flushing a gigabyte would hold up the gateway's own writes.
            copy.execute("PRAGMA synchronous = OFF")
            # All pages in one step are one read transaction: in WAL mode it holds up no writer, and no write starts it again.
            live.backup(copy, pages=-1)
            # The copy stays one file, wherever it is put.
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise Unavailable(f"the database {source.name} could not be copied: {error}") from error


def problem_of(path: Path) -> str | None:
    """What is wrong with a database file that nobody else has open; None when it is whole."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(1)")]
            broken_link = database.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        return str(error)
    if found != ["ok"]:
        return found[0]
    return f"a row of {broken_link[0]} refers to nothing" if broken_link else None


def schema_of(path: Path) -> int:
    """The number of the newest migration in a core database; 0 when it is none of ours."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute("SELECT max(number) FROM schema_version").fetchone()
    except sqlite3.Error:
        return 0
    return int(row[0] or 0)
