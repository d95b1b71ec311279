from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from starpod.db.database import Database
from starpod.db.migrate import migrate


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "core.db")
    migrate(database)
    yield database
    database.close()
