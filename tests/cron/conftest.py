"""What the tests of jobs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cron.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world of its own, with ten slots."""
    world = World(tmp_path)
    yield world
    world.database.close()
