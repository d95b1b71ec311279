"""Where a memory file lies, and who may write it. Touches the disk only to resolve links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from starpod.errors import Forbidden, InvalidInput
from starpod.paths import Paths
from starpod.sessions.types import AGENT_USER_IDS

AGENT_FILES = ("SOUL.md", "HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md")
USER_FILES = ("USER.md", "MEMORY.md")
DAILY_FOLDER = "memory"
NAME_BYTES = 255
NOBODY = "admin"
"""Who chats while no user exists. Has a folder like a person: what was told then is not for the users who come later."""

_RESERVED = frozenset({"backups", "config", "connectors", "db", "home", "skills", "users"})
_USER_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.@-]{0,127}")
_KNOWN = {name.casefold(): name for name in (*AGENT_FILES, *USER_FILES)}


@dataclass(frozen=True, slots=True)
class Place:
    """A memory file: `name` as people write it, `path` with links resolved, `owner` its user or None for the agent's own."""

    name: str
    path: Path
    owner: str | None


def has_own_memory(user_id: str) -> bool:
    """Whether `user_id` is a person, rather than the agent doing something by itself."""
    return user_id == NOBODY or user_id not in AGENT_USER_IDS


def user_folder(paths: Paths, user_id: str) -> Path:
    """The folder of a person's memory; it may not exist. InvalidInput for an id that is no plain name."""
    if not _USER_ID.fullmatch(user_id):
        raise InvalidInput("The user id is not usable")
    return paths.users_dir / user_id


def locate(paths: Paths, name: str, user_id: str) -> Place:
    """The file that `name` means when `user_id` says it. InvalidInput for what is no name of a memory file.

    A person's own files may also be named as a search cites them: `users/<id>/...`.
    """
    cited = f"users/{user_id}/"
    if has_own_memory(user_id) and name.startswith(cited):
        name = _checked(name.removeprefix(cited))
        return Place(name, _inside(user_folder(paths, user_id), name), user_id)
    name = _checked(name)
    first, *deeper = name.split("/")
    if not deeper and first in AGENT_FILES:
        return Place(name, _inside(paths.config_dir, name), None)
    is_users = first == DAILY_FOLDER if deeper else first in USER_FILES
    if is_users and has_own_memory(user_id):
        return Place(name, _inside(user_folder(paths, user_id), name), user_id)
    place = Place(name, _inside(paths.agent_home, name), None)
    if place.path.relative_to(paths.agent_home.resolve()).parts[0].casefold() in _RESERVED:
        raise _refused("is not a place for memory")
    return place


def identify(paths: Paths, path: Path) -> tuple[str, str] | None:
    """(user id, name) by which `locate` finds this path; None for what is no memory file."""
    candidates = [(NOBODY, paths.config_dir)]
    if path.is_relative_to(paths.users_dir):
        user_id = path.relative_to(paths.users_dir).parts[0]
        candidates = [(user_id, paths.users_dir / user_id)]
    elif not path.is_relative_to(paths.config_dir):
        candidates = [("cron", paths.agent_home)]
    for user_id, base in candidates:
        if path.is_relative_to(base):
            name = path.relative_to(base).as_posix()
            try:
                place = locate(paths, name, user_id)
            except InvalidInput:
                return None
            return (user_id, name) if place.path == path.resolve() else None
    return None


def require_writable(place: Place, *, is_admin: bool) -> None:
    """Forbidden for the agent's own files unless an admin, or the agent by itself, writes."""
    if place.owner is None and not is_admin:
        raise Forbidden(
            f"{place.name} belongs to the agent, and only an admin may change it. "
            f"Write to USER.md, MEMORY.md or a file in {DAILY_FOLDER}/ instead."
        )


def _checked(name: str) -> str:
    """The name in its usual spelling."""
    if not name.strip() or name != name.strip():
        raise _refused("is empty or has blanks around it")
    if len(name.encode(errors="replace")) > NAME_BYTES:
        raise _refused(f"is longer than {NAME_BYTES} bytes")
    if not name.isprintable() or "\\" in name:
        raise _refused("holds characters that file names must not have")
    parts = name.split("/")
    if any(part.startswith(".") or not part for part in parts):
        raise _refused("must be relative, and no part may be empty or begin with a dot")
    if not name.endswith(".md"):
        raise _refused("must end in .md")
    if len(parts) == 1:
        return _KNOWN.get(name.casefold(), name)
    if parts[0].casefold() in _RESERVED:
        raise _refused("is not a place for memory")
    return name


def _inside(base: Path, name: str) -> Path:
    try:
        base = base.resolve()
        path = (base / name).resolve()
    except (OSError, RuntimeError) as error:
        raise _refused("goes through a link that cannot be followed") from error
    if not path.is_relative_to(base) or path == base:
        raise _refused("leads out of the memory folder")
    return path


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"The file name {reason}", fields={"file": reason})
