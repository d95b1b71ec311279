"""Numbered, forward-only migrations. A database that does not fit is never deleted: the caller stops and says what to do."""

from __future__ import annotations

import importlib
import logging
import pkgutil
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

import peewee

from starpod.db import migrations
from starpod.db.database import Database
from starpod.errors import Unavailable

logger = logging.getLogger(__name__)

Migration = Callable[[peewee.Database], None]


def load_migrations() -> dict[int, Migration]:
    """The `apply` function of every module `mNNNN_name` in `starpod.db.migrations`, by number, ascending."""
    found: dict[int, Migration] = {}
    for module in pkgutil.iter_modules(migrations.__path__):
        if match := re.fullmatch(r"m(\d{4})_\w+", module.name):
            if int(match[1]) in found:
                raise RuntimeError(f"two migrations have the number {match[1]}")
            found[int(match[1])] = importlib.import_module(f"{migrations.__name__}.{module.name}").apply
    return dict(sorted(found.items()))


def migrate(database: Database, steps: Mapping[int, Migration] | None = None) -> list[int]:
    """Bring the database to the newest version (of `steps`; ours by default) and return the numbers applied. Blocks: run it in a thread.

    An existing file is first copied aside as `<name>.before-NNNN`. Raises `Unavailable` for a database that is newer than this program
    or not ours; nothing is changed then.
    """
    try:
        return _migrate(database, load_migrations() if steps is None else steps)
    finally:
        database.leave()


def _migrate(database: Database, steps: Mapping[int, Migration]) -> list[int]:
    newest = max(steps, default=0)
    current = database.read_here(_version)
    if current > newest:
        raise Unavailable(
            f"The database {database.path.name} was written by a newer version (schema {current}, this program knows {newest}). "
            "Install the newer version again, or restore a backup made by this one."
        )
    due = [number for number in steps if number > current]
    if due and current > 0:
        _copy_aside(database.path, due[0])
    for number in due:
        database.run_here(_apply, number, steps[number])
    if due:
        logger.info("database %s is now at schema %d", database.path.name, due[-1])
    return due


def _version(connection: peewee.Database) -> int:
    tables = set(connection.get_tables())
    if "schema_version" in tables:
        row = connection.execute_sql("SELECT max(number) FROM schema_version").fetchone()
        return int(row[0] or 0)
    if tables:
        raise Unavailable(
            "The database holds tables that this program did not make. Move the file away, or start with another folder (--dir)."
        )
    return 0


def _apply(connection: peewee.Database, number: int, apply: Migration) -> None:
    connection.execute_sql("CREATE TABLE IF NOT EXISTS schema_version (number INTEGER PRIMARY KEY)")
    apply(connection)
    connection.execute_sql("INSERT INTO schema_version (number) VALUES (?)", (number,))


def _copy_aside(path: Path, number: int) -> None:
    target = path.with_name(f"{path.name}.before-{number:04d}")
    source, copy = sqlite3.connect(path), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()
    target.chmod(0o600)
    logger.info("copied %s to %s before changing its schema", path.name, target.name)
