"""What the settings pages keep outside agent.toml: the page's greeting, and the folders of users. Functions block on the disk."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starpod.config.files import write_atomically
from starpod.config.scaffold import USER_ID, seed_user
from starpod.config.writer import KeyPath, edit_toml
from starpod.errors import InvalidInput, NotFound, Unavailable
from starpod.paths import Paths

DAILY_LOG = re.compile(r"\d{4}-\d{2}-\d{2}\.md")
NEW_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class UserFolder:
    """What the agent keeps of a user on disk."""

    id: str
    has_user_md: bool
    has_memory_md: bool
    daily_log_count: int


def write_frontend(paths: Paths, greeting: str | None, prompts: Sequence[str]) -> None:
    """Put greeting and prompts into frontend.toml; comments stay when the file was usable. Raises Unavailable."""
    path = paths.config_dir / "frontend.toml"
    edits: dict[KeyPath, Any] = {("greeting",): greeting or None, ("prompts",): list(prompts)}
    try:
        try:
            text = edit_toml(path.read_text("utf-8-sig"), edits)
            tomllib.loads(text)
        except (FileNotFoundError, ValueError):
            text = edit_toml("", edits)
        write_atomically(path, text.encode(), path.stat().st_mode & 0o777 if path.exists() else 0o644)
    except OSError as error:
        raise Unavailable(
            f"frontend.toml cannot be written: {error.strerror}. Check its permissions and the disk."
        ) from error


def list_folders(paths: Paths) -> list[UserFolder]:
    """All folders of users, by id."""
    if not paths.users_dir.is_dir():
        return []
    names = sorted(folder.name for folder in paths.users_dir.iterdir() if _is_own(folder))
    return [_described(paths.users_dir / name) for name in names]


def create_folder(paths: Paths, user_id: str) -> UserFolder:
    """A new folder with the first USER.md and MEMORY.md. Raises InvalidInput for a bad id and for one that exists."""
    if not NEW_ID.fullmatch(user_id):
        raise InvalidInput("A user's id has 1 to 32 letters, digits, hyphens and underscores")
    if (paths.users_dir / user_id).exists():
        raise InvalidInput(f"User '{user_id}' exists already")
    return _described(seed_user(paths, user_id))


def get_folder(paths: Paths, user_id: str) -> UserFolder:
    """The folder of a user. Raises NotFound, also for what is no id."""
    return _described(_find(paths, user_id))


def _find(paths: Paths, user_id: str) -> Path:
    folder = paths.users_dir / user_id
    if not USER_ID.fullmatch(user_id) or not _is_own(folder):
        raise NotFound(f"User '{user_id[:80]}' not found")
    return folder


def _is_own(folder: Path) -> bool:
    """A link may lead anywhere, so it is not one of ours."""
    return folder.is_dir() and not folder.is_symlink() and bool(USER_ID.fullmatch(folder.name))


def _described(folder: Path) -> UserFolder:
    daily = folder / "memory"
    count = sum(bool(DAILY_LOG.fullmatch(each.name)) for each in daily.iterdir()) if daily.is_dir() else 0
    return UserFolder(folder.name, (folder / "USER.md").is_file(), (folder / "MEMORY.md").is_file(), count)
