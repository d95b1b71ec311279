from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.support import Desk


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home, with a secret beside it."""
    (tmp_path / "secret.txt").write_text("the secret")
    home = tmp_path / "home"
    home.mkdir()
    return home


@pytest.fixture
def desk(home: Path) -> Desk:
    return Desk(home)
