"""Reading and writing memory: one file at a time, whole or not at all, with who did it and what stood there before."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

from starpod.clock import Clock, format_time
from starpod.config.files import write_atomically
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import Conflict, InvalidInput, NotFound, StarpodError, Unavailable
from starpod.memory import scan, versions_store
from starpod.memory.places import (
    AGENT_FILES,
    DAILY_FOLDER,
    USER_FILES,
    Place,
    has_own_memory,
    identify,
    locate,
    require_writable,
    user_folder,
)
from starpod.memory.versions import MemoryFile, MemoryText, Version, Writer, Written
from starpod.paths import Paths
from starpod.tasks import TaskSet

LARGEST_BYTES = 1_048_576
READ_BYTES = 4 * 1_048_576
"""People may put larger files than we write; beyond this one is not loaded."""
MOST_FILES = 5_000
MOST_VERSIONS = 200


class MemoryFiles:
    """The memory files of all users and of the agent. `on_change` is called on the loop with the path of a file that was written."""

    def __init__(self, database: Database, paths: Paths, config: Callable[[], Config], clock: Clock) -> None:
        self.on_change: Callable[[Path], None] = lambda path: None
        self._database = database
        self._paths = paths
        self._config = config
        self._clock = clock
        self._tasks = TaskSet("memory")
        self._writes: set[asyncio.Task[Written]] = set()
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @property
    def folder(self) -> Path:
        """Where memory lies."""
        return self._paths.agent_home

    async def close(self) -> None:
        """Let writes that were begun come to their end."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=5.0)

    async def forget_user(self, user_id: str) -> None:
        """Delete a person's whole folder, with every version of its files. InvalidInput for an id that is no plain name."""
        folder = user_folder(self._paths, user_id)
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await self._database.run(versions_store.forget_owner, user_id)
        self.on_change(folder)

    async def forget_session(self, session_id: str) -> bool:
        """Delete the files that a session was exported to, with their versions; False when there were none."""
        exports = await self._database.read(versions_store.exports_of, session_id)
        for owner, name in exports:
            place = locate(self._paths, name, owner or "cron")
            await asyncio.to_thread(place.path.unlink, missing_ok=True)
            await self._database.run(versions_store.forget_file, owner, name)
            self.on_change(place.path)
        return bool(exports)

    async def list_files(self, user_id: str, *, is_admin: bool) -> list[MemoryFile]:
        """The files of a user by name, behind them for admins the agent's own."""
        return await asyncio.to_thread(self._list, user_id, is_admin)

    async def read(self, user_id: str, name: str) -> MemoryText:
        """A whole file, empty when it does not exist. InvalidInput for a bad name, Conflict for what cannot be read as a file."""
        return await asyncio.to_thread(self._read, user_id, name)

    async def write(
        self, writer: Writer, name: str, content: str, *, append: bool = False, expected_hash: str | None = None
    ) -> Written:
        """Replace a file, or add to its end, on a line of its own. What the file says already, line by line, is not added again.

        Raises InvalidInput for a bad name, a text over the limits and one that the scan objects to, Forbidden for a file that the
        writer may not change, Conflict when `expected_hash` is not that of the present content, Unavailable for a failing disk.
        """
        return await self._change(writer, name, content, append=append, expected_hash=expected_hash)

    async def append_daily(self, writer: Writer, text: str) -> Written:
        """Add an entry under the present time to the daily log of the writer. Raises as `write`."""
        if not text.strip():
            raise InvalidInput("There is nothing to write", fields={"text": "is empty"})
        now = self.local_now()
        name = f"{DAILY_FOLDER}/{now:%Y-%m-%d}.md"
        entry = f"## {now:%H:%M:%S}\n{text.strip()}\n"
        return await self._change(writer, name, entry, append=True, heading=f"# Daily Log — {now:%Y-%m-%d}\n")

    async def history(self, user_id: str, name: str, *, is_admin: bool, limit: int = 50) -> list[Version]:
        """The versions of a file, the newest first. NotFound for the agent's own files unless an admin asks."""
        place = await asyncio.to_thread(locate, self._paths, name, user_id)
        _require_visible(place, is_admin)
        return await self._database.read(
            versions_store.list_versions, place.owner, place.name, min(limit, MOST_VERSIONS)
        )

    async def content_of(self, user_id: str, name: str, version: int, *, is_admin: bool) -> str:
        """What a file held at a version. NotFound when it has no such version."""
        place = await asyncio.to_thread(locate, self._paths, name, user_id)
        _require_visible(place, is_admin)
        return (await self._content(place, version)).decode("utf-8-sig", errors="replace")

    async def revert(self, writer: Writer, name: str, version: int) -> Written:
        """Give a file the content of an earlier version, as a new version. NotFound when it has no such version."""
        place = await asyncio.to_thread(locate, self._paths, name, writer.user_id)
        _require_visible(place, writer.is_admin)
        return await self._change(writer, name, await self._content(place, version), append=False)

    async def observe(self, user_id: str, name: str) -> None:
        """Record the present content as a version if it was edited outside the gateway."""
        place = await asyncio.to_thread(locate, self._paths, name, user_id)
        async with self._lock(place.path):
            raw = await asyncio.to_thread(_load, place)
            known = await self._database.read(versions_store.newest_hash, place.owner, place.name)
            if raw is not None and known != hash_of(raw):
                await self._record(place, raw, None, None)

    async def observe_path(self, path: Path) -> None:
        """`observe` for a file that was seen to change on disk; anything that is no memory file is passed over."""
        found = await asyncio.to_thread(identify, self._paths, path)
        if found is not None:
            await self.observe(*found)

    def local_now(self) -> datetime:
        """The present time where the people are."""
        from zoneinfo import ZoneInfo

        zone = self._config().timezone
        return self._clock.now().astimezone(ZoneInfo(zone) if zone else None)

    async def _change(
        self,
        writer: Writer,
        name: str,
        content: str | bytes,
        *,
        append: bool,
        expected_hash: str | None = None,
        heading: str = "",
    ) -> Written:
        data = content if isinstance(content, bytes) else await asyncio.to_thread(_checked, content, writer)
        place = await asyncio.to_thread(locate, self._paths, name, writer.user_id)
        require_writable(place, is_admin=writer.is_admin)
        work = self._change_locked(writer, place, data, append, expected_hash, heading)
        # A turn that is stopped meanwhile must not leave a file without its history.
        task = self._tasks.spawn(work, name="write", expected=(StarpodError,))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)

    async def _change_locked(
        self, writer: Writer, place: Place, data: bytes, append: bool, expected_hash: str | None, heading: str
    ) -> Written:
        async with self._lock(place.path):
            before = await asyncio.to_thread(_load, place)
            if expected_hash is not None and expected_hash != (hash_of(before) if before is not None else ""):
                raise Conflict(f"{place.name} was changed meanwhile. Read it again, then write.")
            after = _added(before, data, heading) if append else data
            self._check_size(place, before, after, writer)
            if after == before:
                return Written(place.name, hash_of(after), len(after), None)
            version = await self._record(place, after, before, writer)
            try:
                await asyncio.to_thread(_store, place, after)
            except OSError as error:
                await self._database.run(versions_store.remove_version, version)
                raise Unavailable(
                    f"{place.name} cannot be written: {error.strerror}. Check its permissions and the disk."
                ) from error
        self.on_change(place.path)
        return Written(place.name, hash_of(after), len(after), version)

    async def _content(self, place: Place, version: int) -> bytes:
        content = await self._database.read(versions_store.find_content, place.owner, place.name, version)
        if content is None:
            raise NotFound(f"{place.name} has no version {version}")
        return content

    async def _record(self, place: Place, after: bytes, before: bytes | None, writer: Writer | None) -> int:
        return await self._database.run(
            versions_store.add_version,
            owner=place.owner,
            file=place.name,
            content=after,
            content_hash=hash_of(after),
            writer=writer,
            earlier=(before, hash_of(before)) if before is not None else None,
            now=self._clock.now(),
        )

    def _lock(self, path: Path) -> asyncio.Lock:
        return self._locks.setdefault(path, asyncio.Lock())

    def _check_size(self, place: Place, before: bytes | None, after: bytes, writer: Writer) -> None:
        if len(after) > LARGEST_BYTES:
            raise InvalidInput(
                f"{place.name} would have {len(after)} bytes; a memory file may have {LARGEST_BYTES}",
                fields={"content": f"the file may have {LARGEST_BYTES} bytes"},
            )
        memory = self._config().memory
        limit = {"USER.md": memory.user_md_limit, "MEMORY.md": memory.memory_md_limit}.get(place.name, 0)
        length = len(after.decode(errors="replace"))
        if not limit or length <= limit or writer.origin == "revert":
            return
        if before is not None and length < len(before.decode(errors="replace")):
            return  # It was too long already, and this makes it shorter.
        raise InvalidInput(
            f"{place.name} would have {length} characters; it may have {limit}. Consolidate it: merge what belongs together, drop "
            f"what is out of date, move details to a file in {DAILY_FOLDER}/, then write the whole file anew.",
            fields={"content": f"the file may have {limit} characters"},
        )

    def _read(self, user_id: str, name: str) -> MemoryText:
        place = locate(self._paths, name, user_id)
        raw = _load(place)
        if raw is None:
            return MemoryText(place.name, "", "")
        return MemoryText(place.name, raw.decode("utf-8-sig", errors="replace"), hash_of(raw))

    def _list(self, user_id: str, is_admin: bool) -> list[MemoryFile]:
        found: list[MemoryFile] = []
        if has_own_memory(user_id):
            folder = user_folder(self._paths, user_id)
            own = [folder / name for name in USER_FILES]
            own += sorted(folder.glob(f"{DAILY_FOLDER}/**/*.md"), reverse=True)
            found += _described(own, folder, user_id)
        if is_admin:
            found += _described([self._paths.config_dir / name for name in AGENT_FILES], self._paths.config_dir, None)
            home = self._paths.agent_home
            found += _described([*sorted(home.glob("*.md")), *sorted(home.glob(f"{DAILY_FOLDER}/**/*.md"))], home, None)
        return found[:MOST_FILES]


def hash_of(content: bytes) -> str:
    """The name of a content."""
    return hashlib.sha256(content).hexdigest()[:32]


def _require_visible(place: Place, is_admin: bool) -> None:
    if place.owner is None and not is_admin:
        raise NotFound(f"You have no file {place.name}")


def _checked(content: str, writer: Writer) -> bytes:
    # What an operator writes into the agent's own texts on the settings page is the operator's word.
    if writer.origin != "settings":
        scan.require_clean(content)
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "The text is no valid Unicode", fields={"content": "holds half of a surrogate pair"}
        ) from error


def _holds(before: bytes, data: bytes) -> bool:
    """Whether these lines stand in the file, one below the other; what is empty at either end of them does not count."""
    wanted = [line.rstrip() for line in data.strip(b"\r\n").rstrip().splitlines()]
    lines = [line.rstrip() for line in before.splitlines()]
    return bool(wanted) and any(
        lines[at : at + len(wanted)] == wanted for at, line in enumerate(lines) if line == wanted[0]
    )


def _added(before: bytes | None, data: bytes, heading: str) -> bytes:
    if not before:
        return (heading + "\n").encode() + data if heading else data
    if not heading and _holds(before, data):
        return before
    gap = b"" if before.endswith(b"\n") else b"\n"
    return before + gap + (b"\n" if heading else b"") + data


def _load(place: Place) -> bytes | None:
    """The bytes of a file; None when there is none."""
    try:
        descriptor = os.open(place.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Conflict(f"{place.name} cannot be read: {error.strerror}") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise Conflict(f"{place.name} is no ordinary file")
        if info.st_size > READ_BYTES:
            raise Conflict(
                f"{place.name} is too large to be read here: {info.st_size} bytes, {READ_BYTES} are possible"
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(READ_BYTES)
    finally:
        os.close(descriptor)


def _store(place: Place, content: bytes) -> None:
    place.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(place.path, content, 0o600 if place.owner is not None else 0o644)


def _described(paths: list[Path], base: Path, owner: str | None) -> list[MemoryFile]:
    found = []
    for path in paths:
        try:
            info = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(info.st_mode):
            moment = datetime.fromtimestamp(info.st_mtime, UTC)
            name = path.relative_to(base).as_posix()
            found.append(MemoryFile(name, info.st_size, format_time(moment), owner))
    return found
