"""Finds the agent that a command is about: its folder, its address and its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from starpod.db.database import Database
from starpod.db.lock import running_address
from starpod.db.migrate import migrate
from starpod.errors import NotFound
from starpod.paths import Paths, find_root, resolve_paths

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


def running_gateway(folder: Path) -> str | None:
    """Where the gateway of this folder's agent listens, None when it is not running. Raises NotFound when there is no agent."""
    return running_address(agent_paths(folder).db_dir)


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
