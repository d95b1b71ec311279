"""An agent's folder in `tmp_path`, with whatever settings a test writes into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from starpod.config.loader import LoadedConfig, load_config
from starpod.paths import Paths, resolve_paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """The places of an agent that has folders but no agent.toml yet."""
    places = resolve_paths(tmp_path)
    places.config_dir.mkdir(parents=True)
    return places


@pytest.fixture
def load(paths: Paths) -> Callable[[str], LoadedConfig]:
    """Writes its argument as agent.toml and loads it."""

    def write_and_load(text: str) -> LoadedConfig:
        paths.agent_toml.write_text(text, "utf-8")
        return load_config(paths, {})

    return write_and_load
