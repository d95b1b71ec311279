"""Makes an archive of everything an agent is, while it runs. Blocks for as long as the disk needs: never on the event loop."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from starpod.backup.copy_store import copy_database, is_database, schema_of
from starpod.backup.types import FORMAT, MANIFEST, Manifest, Written
from starpod.errors import Conflict, Unavailable
from starpod.paths import Paths
from starpod.version import __version__

KEYS = (".vault_key", ".vault_key.new")
TRIES = 5
CHUNK = 1024 * 1024
IN_MEMORY = 8 * CHUNK


def write_backup(paths: Paths, target: Path, now: datetime, *, with_home: bool = True) -> Written:
    """Write a new archive to `target`, readable for its owner only. Nothing is left there when it fails.

    Raises Conflict when the file exists, Unavailable when a database cannot be copied, and OSError.
    """
    if target.exists():
        raise Conflict(f"{target} exists already; name another file")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
                written = _Writer(paths, archive, target, with_home).write(now)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return written


class _Writer:
    def __init__(self, paths: Paths, archive: tarfile.TarFile, target: Path, with_home: bool) -> None:
        self._paths = paths
        self._archive = archive
        self._target = target
        self._roots = [paths.agent_home, paths.home_dir] if with_home else [paths.agent_home]
        self._sums: dict[str, str] = {}
        self._left_out: list[str] = []

    def write(self, now: datetime) -> Written:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=self._target.parent) as folder:
            core = Path(folder) / "core.db"
            keys = self._copy_core(core)
            for path in self._files():
                self._add_file(path, core, Path(folder) / "copy.db")
            for name, content in keys.items():
                self._add(
                    self._name(self._paths.db_dir / name), io.BytesIO(content), len(content), 0o600, now.timestamp()
                )
            has_key = KEYS[0] in keys
            manifest = Manifest(
                format=FORMAT,
                version=__version__,
                schema_number=schema_of(core),
                created_at=now.astimezone(UTC).isoformat(timespec="seconds"),
                has_vault_key=has_key,
                files=self._sums,
            )
        text = manifest.model_dump_json().encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode, info.mtime = len(text), 0o600, now.timestamp()
        self._archive.addfile(info, io.BytesIO(text))
        return Written(self._target, len(manifest.files), tuple(self._left_out), has_key)

    def _copy_core(self, copy: Path) -> dict[str, bytes]:
        """Copy the core database; the answer is the vault's keys that fit it."""
        for _ in range(TRIES):
            before = self._read_keys()
            copy.unlink(missing_ok=True)
            copy_database(self._paths.core_db, copy)
            # A rotation in between would leave secrets that no key opens.
            if self._read_keys() == before:
                return before
        raise Unavailable("the vault's key kept changing; try again when its rotation is done")

    def _read_keys(self) -> dict[str, bytes]:
        return {name: path.read_bytes() for name in KEYS if (path := self._paths.db_dir / name).is_file()}

    def _files(self) -> Iterator[Path]:
        for root in self._roots:
            for folder, subfolders, names in os.walk(root):
                here = Path(folder)
                kept = [each for each in sorted(subfolders) if not self._is_left_out(here / each)]
                subfolders[:] = kept
                yield from (here / name for name in sorted(names))

    def _is_left_out(self, folder: Path) -> bool:
        if folder == self._paths.backups_dir or folder.name.startswith(".backup-"):
            return True
        if folder.is_symlink():
            self._left_out.append(self._name(folder))
            return True
        return False

    def _add_file(self, path: Path, core: Path, copy: Path) -> None:
        if (
            path.name == "gateway.lock"
            or (path.parent == self._paths.db_dir and path.name in KEYS)
            or _is_journal(path)
        ):
            return
        # Settings may be linked from elsewhere; any other link could lead to files that are not the agent's.
        if path.is_symlink() and self._paths.config_dir not in path.parents:
            self._left_out.append(self._name(path))
            return
        if path == self._target or (path.name.endswith(".part") and path.parent == self._target.parent):
            return
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                self._left_out.append(self._name(path))
                return
            if path == self._paths.core_db:
                self._add_copy(path, core, status)
                return
            if path.suffix == ".db" and is_database(path):
                copy.unlink(missing_ok=True)
                copy_database(path, copy)
                self._add_copy(path, copy, status)
                return
            with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(self._target.parent)) as held:
                # What grows while it is read (a log) is taken as of now.
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        held.write(chunk)
                size = held.tell()
                held.seek(0)
                self._add(
                    self._name(path), cast("IO[bytes]", held), size, stat.S_IMODE(status.st_mode), status.st_mtime
                )
        except FileNotFoundError:
            return  # removed meanwhile

    def _add_copy(self, path: Path, copy: Path, status: os.stat_result) -> None:
        """Add a database by its copy, which nobody writes: large ones are read once and held nowhere else."""
        with copy.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._add(self._name(path), file, size, stat.S_IMODE(status.st_mode), status.st_mtime)

    def _add(
        self,
        name: str,
        content: IO[bytes],
        size: int,
        mode: int,
        mtime: float,
    ) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, mode, mtime
        hashed = _Hashed(content)
        self._archive.addfile(info, cast("IO[bytes]", hashed))
        self._sums[name] = hashed.digest.hexdigest()

    def _name(self, path: Path) -> str:
        return path.relative_to(self._paths.instance_root).as_posix()


class _Hashed:
    """A file whose digest grows as it is read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._content.read(size)
        self.digest.update(chunk)
        return chunk


def _is_journal(path: Path) -> bool:
    """Whether the file belongs to a database that is copied whole: beside that copy it would be applied a second time."""
    for ending in ("-wal", "-shm", "-journal"):
        base = path.with_name(path.name.removesuffix(ending))
        if base != path and base.suffix == ".db":
            return True
    return False
