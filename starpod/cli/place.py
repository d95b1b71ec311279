"""Finds the agent that a command is about: its folder, its address and its database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from starpod.config.loader import load_config
from starpod.config.types import split_address
from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.errors import NotFound
from starpod.paths import Paths, find_root, resolve_paths

DEFAULT_URL = "http://127.0.0.1:3000"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - translated, not bound

Folder = Annotated[
    Path, typer.Option("--dir", help="The agent's folder, or one below it.", show_default="the current one")
]


def agent_paths(folder: Path) -> Paths:
    """The places of the agent in `folder` or above it. Raises NotFound."""
    root = find_root(folder)
    if root is None:
        raise NotFound(
            f"no agent in {folder.absolute()} or above it; name its folder with --dir, or make one with `starpod init`"
        )
    return resolve_paths(root)


def gateway_url(folder: Path) -> str:
    """Where the agent of `folder` listens by its settings; the usual place when there is no agent. Raises ConfigError."""
    root = find_root(folder)
    if root is None:
        return DEFAULT_URL
    host, port = split_address(load_config(resolve_paths(root), os.environ).config.server_addr)
    host = ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def open_database(folder: Path) -> Iterator[Database]:
    """The database of the agent in `folder`, brought to the newest schema; a running gateway may have it open too."""
    paths = agent_paths(folder)
    paths.db_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(paths.core_db)
    try:
        migrate(database)
        yield database
    finally:
        database.close()
