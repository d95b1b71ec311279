"""Which files are memory, whose they are, and what they say. Reads the disk; knows no index."""

from __future__ import annotations

import codecs
import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starpod.memory.places import AGENT_FILES
from starpod.memory.types import AGENT
from starpod.paths import Paths

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * 1_048_576
"""Of a larger file only the beginning can be found."""
MOST_DEPTH = 20
_NOT_MEMORY = frozenset({"backups", "config", "connectors", "db", "home", "instances", "skills", "users"})
_NOT_USERS = frozenset({"db", "home", "skills"})
"""Below a person's folder. What else people put there beside USER.md, MEMORY.md and memory/ can be found, too."""


@dataclass(frozen=True, slots=True)
class Place:
    """A memory file on disk: `source` names it for people, `base` is the folder that it must not lead out of."""

    owner: str
    source: str
    path: Path
    base: Path


@dataclass(frozen=True, slots=True)
class FileText:
    """What a file holds, at most `MOST_BYTES` of it."""

    text: str
    digest: str
    mtime_ns: int
    size_bytes: int


def find_all(paths: Paths) -> dict[tuple[str, str], Place]:
    """Every memory file by owner and source. Folders that cannot be read count as empty."""
    found: dict[tuple[str, str], Place] = {}
    for place in (*_agents(paths), *_users(paths)):
        found.setdefault((place.owner, place.source), place)
    return found


def watched(paths: Paths) -> set[Path]:
    """The folders in which memory files lie or may come to lie. People's homes, skills, databases and instances are none of them."""
    found = {paths.users_dir, *_folders(paths.config_dir), *_folders(paths.agent_home, _NOT_MEMORY)}
    try:
        users = [Path(entry.path) for entry in os.scandir(paths.users_dir) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        users = []
    for user in users:
        found |= set(_folders(user, _NOT_USERS))
    return {folder for folder in found if folder.is_dir()}


def place_of(paths: Paths, path: Path) -> Place | None:
    """The memory file that `path` is or would be; None for any other."""
    if path.suffix != ".md" or any(part.startswith(".") for part in path.parts[len(paths.agent_home.parts) :]):
        return None
    if path.is_relative_to(paths.users_dir):
        user_id, *parts = path.relative_to(paths.users_dir).parts
        if not parts or parts[0] in _NOT_USERS:
            return None
        return Place(user_id, f"users/{user_id}/{'/'.join(parts)}", path, paths.users_dir / user_id)
    if path.is_relative_to(paths.config_dir):
        return Place(AGENT, path.relative_to(paths.config_dir).as_posix(), path, paths.config_dir)
    if path.is_relative_to(paths.agent_home):
        parts = list(path.relative_to(paths.agent_home).parts)
        if (len(parts) == 1 and parts[0] in AGENT_FILES) or (len(parts) > 1 and parts[0] in _NOT_MEMORY):
            return None
        return Place(AGENT, "/".join(parts), path, paths.agent_home)
    return None


def stamp(place: Place) -> tuple[int, int] | None:
    """Time of change in ns and size in bytes; None when it is no file, or leads out of its base."""
    try:
        found = place.path.stat()
        if not stat.S_ISREG(found.st_mode) or not place.path.resolve().is_relative_to(place.base.resolve()):
            return None
    except (OSError, RuntimeError):
        return None
    return found.st_mtime_ns, found.st_size


def read(place: Place) -> FileText | None:
    """The file's text; None when it is gone, no plain file, or leads out of its base. OSError when it is there but cannot be read."""
    if stamp(place) is None:
        return None
    try:
        descriptor = os.open(place.path.resolve(), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return None
        raw = file.read(MOST_BYTES)
    if found.st_size > MOST_BYTES:
        logger.warning(
            "%s has %d MB: only its first %d MB can be found",
            place.source, found.st_size // 1_048_576, MOST_BYTES // 1_048_576,
        )  # fmt: skip
    return FileText(_decoded(raw), hashlib.sha256(raw).hexdigest()[:32], found.st_mtime_ns, found.st_size)


def _decoded(raw: bytes) -> str:
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", errors="replace").replace("\0", " ")
    return raw.decode("utf-8-sig", errors="replace").replace("\0", " ")


def _agents(paths: Paths) -> Iterator[Place]:
    for base in (paths.config_dir, paths.agent_home):
        for path in _markdown(base, _NOT_MEMORY if base == paths.agent_home else frozenset()):
            if (place := place_of(paths, path)) is not None:
                yield place


def _users(paths: Paths) -> Iterator[Place]:
    try:
        folders = [entry for entry in os.scandir(paths.users_dir) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for folder in folders:
        base = Path(folder.path)
        for path in _markdown(base, _NOT_USERS):
            if (place := place_of(paths, path)) is not None:
                yield place


def _folders(folder: Path, leave_out: frozenset[str] = frozenset(), depth: int = 0) -> Iterator[Path]:
    """The folder and those below it; hidden ones and links are left out."""
    yield folder
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in leave_out or depth >= MOST_DEPTH:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _folders(Path(entry.path), depth=depth + 1)


def _markdown(folder: Path, leave_out: frozenset[str] = frozenset(), depth: int = 0) -> Iterator[Path]:
    """Files ending in .md, deeper ones too; hidden ones and folders that are links are left out."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in leave_out:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                if depth < MOST_DEPTH:
                    yield from _markdown(Path(entry.path), depth=depth + 1)
            elif entry.name.endswith(".md") and entry.is_file():
                yield Path(entry.path)
        except OSError:
            continue
