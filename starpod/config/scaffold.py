"""Makes the files of a new agent from the shipped templates. What exists already is never overwritten."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from starpod.clock import Clock
from starpod.config.files import create_atomically
from starpod.config.problems import ConfigError
from starpod.config.providers import first_model
from starpod.errors import InvalidInput
from starpod.paths import Paths, resolve_paths, shipped

logger = logging.getLogger(__name__)

AGENT_FILES = ("SOUL.md", "HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md")
CONFIG_FILES = ("frontend.toml", *AGENT_FILES)
USER_FILES = ("USER.md", "MEMORY.md")
HOME_FOLDERS = ("desktop", "documents", "projects", "downloads", "scripts", "temp")
USER_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.@-]{0,127}")


def create_agent(root: Path, environ: Mapping[str, str], clock: Clock) -> Paths:
    """Make what is missing of the agent in `root`; its model follows from the provider keys in `environ`.

    agent.toml comes last: an agent that was cut off half-made is not found as one, and is completed on the next start.
    Raises ConfigError when the folder cannot be written.
    """
    paths = resolve_paths(root)
    templates = shipped("conf")
    try:
        _make_folders(paths)
        for name in CONFIG_FILES:
            create_atomically(paths.config_dir / name, (templates / name).read_bytes())
        settings = _first_settings((templates / "agent.toml").read_text("utf-8"), environ, clock)
        create_atomically(paths.agent_toml, settings.encode())
    except OSError as error:
        place = error.filename2 or error.filename or paths.agent_home
        raise ConfigError(
            f"{os.fspath(place)}: cannot make the agent's files here: {error.strerror}; choose another folder with --dir"
        ) from error
    return paths


def complete_agent(paths: Paths) -> None:
    """Make the folders and texts that an agent which is there already lacks; where they cannot be made, it runs without them."""
    templates = shipped("conf")
    try:
        _make_folders(paths)
        for name in AGENT_FILES:
            create_atomically(paths.config_dir / name, (templates / name).read_bytes())
    except OSError as error:
        logger.warning("%s cannot be made: %s", error.filename2 or error.filename, error.strerror)


def seed_user(paths: Paths, user_id: str) -> Path:
    """Make the folder of one user with the first USER.md and MEMORY.md, and return it. InvalidInput when the id is no plain name."""
    if not USER_ID.fullmatch(user_id):
        raise InvalidInput("a user id holds letters, digits and _ . @ - only, and does not begin with a dot")
    folder = paths.users_dir / user_id
    (folder / "memory").mkdir(parents=True, exist_ok=True)
    templates = shipped("conf")
    for name in USER_FILES:
        create_atomically(folder / name, (templates / name).read_bytes())
    return folder


def _make_folders(paths: Paths) -> None:
    for folder in (paths.config_dir, paths.skills_dir, *(paths.home_dir / name for name in HOME_FOLDERS)):
        folder.mkdir(parents=True, exist_ok=True)
    # Keys and people's notes are for the gateway's own account only.
    for folder in (paths.db_dir, paths.users_dir):
        folder.mkdir(mode=0o700, exist_ok=True)


def _first_settings(template: str, environ: Mapping[str, str], clock: Clock) -> str:
    # Imported here because only a first start needs it, and every start would pay its 25 ms.
    import tomlkit

    document = tomlkit.parse(template)
    document["models"] = [first_model(environ)]
    return f"# Made on {clock.now():%Y-%m-%d}.\n{tomlkit.dumps(document)}"
