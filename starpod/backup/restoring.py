"""Puts an archive back: everything is unpacked beside the agent and verified first, then exchanged by renames."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from starpod.backup.copy_store import is_database, problem_of, schema_of
from starpod.backup.types import FORMAT, MANIFEST, MAX_MANIFEST_BYTES, Manifest, Restored
from starpod.db.lock import GatewayLock
from starpod.db.migrate import load_migrations
from starpod.errors import Conflict, InvalidInput
from starpod.paths import AGENT_HOME, find_root, resolve_paths

ROOTS = (AGENT_HOME, "home")
CORE = f"{AGENT_HOME}/db/core.db"


def restore_backup(archive: Path, root: Path, now: datetime) -> Restored:
    """Make the agent in the folder `root` what the archive holds; what stood there is moved aside, not removed.

    InvalidInput for an archive that is cut, changed, foreign or newer, Conflict while a gateway runs there; nothing is changed then.
    """
    root = root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    with _stopped(root), tempfile.TemporaryDirectory(prefix=".starpod-restore-", dir=root) as folder:
        staged = Path(folder)
        manifest = _unpack(archive, staged)
        _verify(staged, manifest)
        replaced = _exchange(root, staged, f"replaced-{now:%Y%m%d-%H%M%S}")
    return Restored(len(manifest.files), manifest.created_at, replaced, manifest.has_vault_key)


@contextlib.contextmanager
def _stopped(root: Path) -> Iterator[None]:
    """Keeps a gateway from starting meanwhile."""
    if find_root(root) != root or not (db_dir := resolve_paths(root).db_dir).is_dir():
        yield
        return
    lock = GatewayLock(db_dir)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _unpack(archive: Path, staged: Path) -> Manifest:
    try:
        with tarfile.open(archive, "r:gz") as members:
            return _unpack_members(members, staged)
    except (tarfile.TarError, EOFError, zlib.error, ValidationError, UnicodeError) as error:
        raise InvalidInput(f"{archive.name} is no whole backup of starpod; nothing was changed") from error
    except OSError as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError) or error.errno:
            raise
        raise InvalidInput(f"{archive.name} is damaged; nothing was changed") from error


def _unpack_members(members: tarfile.TarFile, staged: Path) -> Manifest:
    sums: dict[str, str] = {}
    manifest: Manifest | None = None
    for member in members:
        if manifest is not None or not member.isreg() or member.name in sums:
            raise InvalidInput(f"the archive holds something unexpected ({member.name!r}); nothing was changed")
        content = members.extractfile(member)
        assert content is not None
        if member.name == MANIFEST:
            if member.size > MAX_MANIFEST_BYTES:
                raise InvalidInput("the archive's list of files is too long; nothing was changed")
            manifest = Manifest.model_validate_json(content.read())
            continue
        target = staged / _checked(member.name)
        # One by one: with `parents=True` the mode would be that of the last alone.
        for folder in reversed(target.relative_to(staged).parents):
            (staged / folder).mkdir(mode=0o700, exist_ok=True)
        digest = hashlib.sha256()
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while chunk := content.read(1024 * 1024):
                digest.update(chunk)
                file.write(chunk)
        os.chmod(target, member.mode & 0o755)
        os.utime(target, (member.mtime, member.mtime))
        sums[member.name] = digest.hexdigest()
    if manifest is None:
        raise InvalidInput("the archive is cut off or no backup of starpod; nothing was changed")
    if manifest.format > FORMAT:
        raise InvalidInput(f"the archive was made by a newer starpod ({manifest.version}); install that one first")
    if manifest.files != sums:
        raise InvalidInput("the archive's files are not those it was made of; nothing was changed")
    return manifest


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or path.parts[0] not in ROOTS or "\\" in name:
        raise InvalidInput(f"the archive wants to write outside the agent ({name!r}); nothing was changed")
    return path


def _verify(staged: Path, manifest: Manifest) -> None:
    if CORE not in manifest.files or find_root(staged) != staged:
        raise InvalidInput("the archive holds no agent; nothing was changed")
    newest = max(load_migrations())
    number = schema_of(staged / CORE)
    if number > newest:
        raise InvalidInput(
            f"the archive's database is newer (schema {number}) than this program ({newest}); "
            f"install starpod {manifest.version} or later first"
        )
    if number == 0:
        raise InvalidInput("the archive's database is none of starpod's; nothing was changed")
    for name in manifest.files:
        path = staged / name
        # What people keep in home may be anything, also a broken database.
        is_ours = name.startswith(f"{AGENT_HOME}/db/") and path.suffix == ".db" and is_database(path)
        if is_ours and (problem := problem_of(path)) is not None:
            raise InvalidInput(f"{path.name} in the archive is damaged ({problem}); nothing was changed")


def _exchange(root: Path, staged: Path, mark: str) -> tuple[Path, ...]:
    done: list[tuple[Path, Path]] = []
    replaced: list[Path] = []
    try:
        for name in ROOTS:
            if not (staged / name).exists():
                continue
            if (root / name).exists():
                aside = root / f"{name}.{mark}"
                if aside.exists():
                    raise Conflict(f"{aside.name} exists already; try again in a second")
                _move(root / name, aside, done)
                replaced.append(aside)
            _move(staged / name, root / name, done)
        older = root / f"{AGENT_HOME}.{mark}" / "backups"
        if older.is_dir():
            _move(older, root / AGENT_HOME / "backups", done)
    except BaseException:
        for source, target in reversed(done):
            shutil.move(target, source)
        raise
    return tuple(replaced)


def _move(source: Path, target: Path, done: list[tuple[Path, Path]]) -> None:
    os.rename(source, target)
    done.append((source, target))
