"""Skills on disk: one folder each, read again when it changed, written so that no half of a file is ever seen. Functions block."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starpod.config.files import write_atomically
from starpod.errors import InvalidInput, Unavailable
from starpod.skills import document
from starpod.skills.types import BrokenSkill, Skill, SkillDocument

FILE_NAME = "SKILL.md"
RESOURCE_FOLDERS = ("scripts", "references", "assets")
MOST_FOLDERS = 1_000
MOST_RESOURCES = 200
RESOURCE_DEPTH = 5

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: Stamp
    skill: Skill | BrokenSkill


class Folders:
    """The skills below `root`. Only files whose time, size or number changed are read again."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._known: dict[str, _Known] = {}

    def scan(self) -> list[Skill | BrokenSkill]:
        """Every skill and every folder that is none, by name. A missing root holds none."""
        found: dict[str, _Known] = {}
        for name in _names(self.root):
            stamp = _stamp(self.root / name / FILE_NAME)
            known = self._known.get(name)
            found[name] = known if known and known.stamp == stamp else _Known(stamp, _read(self.root / name, stamp))
        self._known = found
        return [known.skill for known in found.values()]

    def write(self, skill: SkillDocument, *, is_new: bool) -> None:
        """Put the document in its place. InvalidInput when a new one's name is taken, Unavailable when the disk refuses."""
        folder = self.root / skill.name
        data = document.dump(skill).encode()
        try:
            if is_new:
                self._create(folder, data)
            else:
                write_atomically(folder / FILE_NAME, data)
        except OSError as error:
            raise Unavailable(
                f"The skill cannot be written: {error.strerror}. Check the permissions of the skills folder and the disk."
            ) from error

    def delete(self, name: str) -> None:
        """Take the folder away at once, then what was in it. Unavailable when the disk refuses."""
        folder = self.root / name
        try:
            if folder.is_symlink():
                folder.unlink()
                return
            bin_ = Path(tempfile.mkdtemp(prefix=".deleted-", dir=self.root))
            os.rename(folder, bin_ / name)
            shutil.rmtree(bin_, ignore_errors=True)
        except OSError as error:
            raise Unavailable(f"The skill cannot be deleted: {error.strerror}") from error

    def _create(self, folder: Path, data: bytes) -> None:
        """The folder appears with its file or not at all."""
        self.root.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=self.root))
        try:
            made.chmod(0o755)
            write_atomically(made / FILE_NAME, data)
            if os.path.lexists(folder):
                raise InvalidInput(f"Skill '{folder.name}' already exists")
            os.rename(made, folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def resources(folder: Path) -> list[str]:
    """The files of `scripts/`, `references/` and `assets/`, relative to the folder, sorted, at most `MOST_RESOURCES`; no links out."""
    found: list[str] = []
    for top in RESOURCE_FOLDERS:
        for path in _files(folder / top, RESOURCE_DEPTH):
            if len(found) >= MOST_RESOURCES:
                return found
            found.append(path.relative_to(folder).as_posix())
    return found


def _names(root: Path) -> list[str]:
    try:
        with os.scandir(root) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
    return sorted(names)[:MOST_FOLDERS]


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return (0, 0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns)


def _read(folder: Path, stamp: Stamp) -> Skill | BrokenSkill:
    created_at = datetime.fromtimestamp(min(stamp[0], stamp[3]) / 1e9, UTC)
    raw = ""
    try:
        raw = _text(folder / FILE_NAME)
        parsed = document.parse(raw, folder.name)
    except InvalidInput as error:
        return BrokenSkill(folder.name, str(error), raw, created_at)
    return Skill(parsed, folder.resolve(), raw, _created_at(parsed) or created_at)


def _created_at(parsed: SkillDocument) -> datetime | None:
    """The time that we noted when we made it: files do not remember it."""
    metadata = parsed.front_matter.get("metadata")
    try:
        noted = datetime.fromisoformat(metadata["created_at"]) if isinstance(metadata, dict) else None
    except (KeyError, ValueError):
        return None
    return noted if noted is not None and noted.tzinfo is not None else None


def _text(path: Path) -> str:
    try:
        # Non-blocking: opening a pipe would otherwise wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidInput(f"{FILE_NAME} is not a regular file")
            data = file.read(document.DOCUMENT_BYTES + 1)
    except FileNotFoundError as error:
        raise InvalidInput(f"The folder has no {FILE_NAME}") from error
    except OSError as error:
        raise InvalidInput(f"{FILE_NAME} cannot be read: {error.strerror}") from error
    if len(data) > document.DOCUMENT_BYTES:
        raise InvalidInput(f"{FILE_NAME} is larger than {document.DOCUMENT_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{FILE_NAME} is not UTF-8 text") from error


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in listed:
        if entry.is_file(follow_symlinks=False):
            yield Path(entry.path)
        elif depth and entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), depth - 1)
