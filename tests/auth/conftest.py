"""A real database, a fake clock, and the auth service on both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from starpod.auth.service import Auth
from starpod.db.database import Database
from starpod.db.migrate import migrate
from tests.auth.support import CountingHasher
from tests.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "core.db", busy_timeout_ms=50)
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def auth(database: Database, clock: FakeClock, hasher: CountingHasher) -> Iterator[Auth]:
    auth = Auth(database, clock, hasher=hasher)
    yield auth
    auth.close()


@pytest.fixture
def other_process(tmp_path: Path, database: Database, clock: FakeClock) -> Iterator[Auth]:
    """The same database through connections and caches of its own, as the command line has them."""
    own = Database(tmp_path / "core.db", busy_timeout_ms=50)
    auth = Auth(own, clock)
    yield auth
    auth.close()
    own.close()
