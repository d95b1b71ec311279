"""The database threads, the migrations and the lock, on real files."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from starpod.db import migrate as migrations
from starpod.db.database import Database
from starpod.db.lock import GatewayLock, running_address
from starpod.db.migrate import migrate
from starpod.errors import Conflict, Unavailable


def insert(connection: Any, value: str) -> None:
    connection.execute_sql("INSERT INTO notes (text) VALUES (?)", (value,))


def texts(connection: Any) -> list[str]:
    return [text for (text,) in connection.execute_sql("SELECT text FROM notes ORDER BY rowid")]


def make_table(connection: Any) -> None:
    connection.execute_sql("CREATE TABLE notes (text TEXT)")


def insert_and_fail(connection: Any) -> None:
    insert(connection, "half")
    raise ValueError("stop")


@pytest.fixture
def database(tmp_path: Path) -> Any:
    database = Database(tmp_path / "test.db", busy_timeout_ms=50)
    database.run_here(make_table)
    yield database
    database.close()


@pytest.mark.gen_test
async def test_a_function_that_raises_leaves_nothing_behind(database: Database) -> None:
    with pytest.raises(ValueError, match="stop"):
        await database.run(insert_and_fail)
    await database.run(insert, "whole")
    assert await database.read(texts) == ["whole"]


@pytest.mark.gen_test
async def test_writes_share_one_thread_and_never_the_callers(database: Database) -> None:
    names = {await database.run(lambda connection: threading.current_thread().name) for _ in range(5)}
    assert len(names) == 1
    assert threading.current_thread().name not in names


@pytest.mark.gen_test
async def test_a_locked_database_is_told_as_such_and_works_again(database: Database) -> None:
    other = sqlite3.connect(database.path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked by another process"):
        await database.run(insert, "now")
    assert await database.read(texts) == []
    other.rollback()
    other.close()
    await database.run(insert, "later")
    assert await database.read(texts) == ["later"]


def test_closing_frees_the_file(tmp_path: Path) -> None:
    database = Database(tmp_path / "test.db")
    database.run_here(make_table)
    database.close()
    other = sqlite3.connect(tmp_path / "test.db", timeout=0)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.close()


def test_a_new_database_gets_every_table_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "core.db")
    assert migrate(database) == list(migrations.load_migrations())
    assert migrate(database) == []
    assert {"users", "turns", "session_messages", "usage_stats"} <= set(database.read_here(lambda c: c.get_tables()))
    database.close()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    database = Database(tmp_path / "core.db")
    migrate(database)
    database.run_here(lambda c: c.execute_sql("INSERT INTO schema_version VALUES (9999)") and None)
    with pytest.raises(Unavailable, match="newer version"):
        migrate(database)
    assert "users" in database.read_here(lambda c: c.get_tables())
    database.close()


def test_a_foreign_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "core.db") as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    database = Database(tmp_path / "core.db")
    with pytest.raises(Unavailable, match="did not make"):
        migrate(database)
    assert database.read_here(lambda c: c.get_tables()) == ["recipes"]
    database.close()


def test_a_damaged_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "core.db").write_bytes(b"this is no database" * 500)
    database = Database(tmp_path / "core.db")
    with pytest.raises(Unavailable, match="damaged"):
        migrate(database)
    assert (tmp_path / "core.db").read_bytes().startswith(b"this is no database")
    database.close()


def test_before_a_later_migration_the_file_is_copied_aside(tmp_path: Path) -> None:
    database = Database(tmp_path / "core.db")
    migrate(database)
    number = max(migrations.load_migrations()) + 1
    assert migrate(database, migrations.load_migrations() | {number: make_table}) == [number]
    copy = tmp_path / f"core.db.before-{number:04d}"
    with sqlite3.connect(copy) as old:
        assert old.execute("SELECT max(number) FROM schema_version").fetchone() == (number - 1,)
    old.close()
    database.close()


def test_only_one_gateway_runs_on_a_folder(tmp_path: Path) -> None:
    first, second = GatewayLock(tmp_path), GatewayLock(tmp_path)
    assert running_address(tmp_path) is None
    first.acquire()
    first.announce("http://127.0.0.1:3000")
    with pytest.raises(Conflict, match="already running on this folder"):
        second.acquire()
    assert running_address(tmp_path) == "http://127.0.0.1:3000"
    first.release()
    assert running_address(tmp_path) is None
    second.acquire()
    second.release()
