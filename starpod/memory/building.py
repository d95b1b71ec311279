"""Brings the index in line with the files and conversations, or fills a new one. Reads in threads, writes in short transactions."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from starpod.db.database import Database
from starpod.memory import chunks, folders, messages_store, store
from starpod.memory.folders import Place
from starpod.memory.types import Chunk, FileState, SessionMessage
from starpod.paths import Paths

logger = logging.getLogger(__name__)

MESSAGES_AT_ONCE = 200
BYTES_AT_ONCE = 4_000_000
MANY_BYTES = 500_000
"""From so much text on, words are counted once at the end."""
LARGEST_MESSAGE_CHARS = 200_000


@dataclass(frozen=True, slots=True)
class Cutting:
    """How texts are cut into pieces, in characters."""

    size: int
    overlap: int

    @property
    def key(self) -> str:
        """Differs when an index was cut otherwise."""
        return f"{self.size}/{self.overlap}"


class Builder:
    """Writes one index. Only one may write at a time. Messages are of the day that it was in `zone` (None: the machine's)."""

    def __init__(
        self, database: Database, core: Database, paths: Paths, cutting: Cutting, zone: ZoneInfo | None
    ) -> None:
        self._database = database
        self._core = core
        self._paths = paths
        self._cutting = cutting
        self._zone = zone

    async def build(self) -> None:
        """Fill an empty file with everything."""
        await self._database.run(store.create)
        await self._database.run(store.bulk_mode)
        await self._database.run(store.set_setting, "cutting", self._cutting.key)
        places = await asyncio.to_thread(folders.find_all, self._paths)
        await self._put_files(list(places.values()), learn=False, known={})
        await self.add_messages(learn=False)
        await self._database.run(store.finish_bulk)

    async def sync(self, paths: Sequence[Path] | None) -> int:
        """Take in these files and folders, or everything; returns how many files have changed or are gone."""
        cutting = await self._database.read(store.get_setting, "cutting")
        if cutting != self._cutting.key:
            # Pieces of another size: every file is cut again; equal pieces stay.
            await self._database.run(store.set_setting, "cutting", self._cutting.key)
            return await self._sync_all(anew=True)
        if paths is None or any(path.suffix != ".md" for path in paths):
            return await self._sync_all(anew=False)
        places = [place for path in paths if (place := folders.place_of(self._paths, path)) is not None]
        known = await self._known()
        gone = [place for place in places if await asyncio.to_thread(folders.stamp, place) is None]
        for place in gone:
            await self._database.run(store.delete_file, place.owner, place.source)
        return len(gone) + await self._put_files(
            [place for place in places if place not in gone], learn=True, known=known
        )

    async def add_messages(self, *, learn: bool = True) -> int:
        """Take in the messages behind the last one known; returns how many."""
        count = 0
        while True:
            after = int(await self._database.read(store.get_setting, "last_message") or 0)
            batch = await self._core.read(messages_store.messages_after, after, MESSAGES_AT_ONCE)
            if not batch:
                return count
            prepared = await asyncio.to_thread(self._cut_messages, batch)
            await self._database.run(store.put_messages, prepared, learn=learn)
            count += len(batch)

    async def forget_deleted_sessions(self) -> int:
        """Remove the messages of sessions that are gone; returns how many sessions."""
        indexed = await self._database.read(store.message_sessions)
        living = await self._core.read(messages_store.living_sessions) if indexed else set()
        gone = [session_id for session_id in indexed if session_id not in living]
        for session_id in gone:
            await self._database.run(store.delete_session, session_id)
        return len(gone)

    async def _sync_all(self, *, anew: bool) -> int:
        places = await asyncio.to_thread(folders.find_all, self._paths)
        known = await self._known()
        gone = [key for key in known if key not in places]
        for owner, source in gone:
            await self._database.run(store.delete_file, owner, source)
        if anew:
            known = {}
        new = [place for place in places.values() if (place.owner, place.source) not in known]
        is_much = await asyncio.to_thread(_is_much, new)
        changed = await self._put_files(list(places.values()), learn=not is_much, known=known)
        if is_much:
            await self._database.run(store.count_terms)
        return len(gone) + changed

    async def _known(self) -> dict[tuple[str, str], FileState]:
        return {(state.owner, state.source): state for state in await self._database.read(store.file_states)}

    async def _put_files(self, places: Sequence[Place], *, learn: bool, known: dict[tuple[str, str], FileState]) -> int:
        changed = 0
        waiting = deque(places)
        while waiting:
            work = await asyncio.to_thread(self._prepare, waiting, known)
            for state, pieces in work:
                if pieces is None:
                    await self._database.run(store.touch_file, state)
                else:
                    await self._database.run(store.put_file, state, pieces, learn=learn)
                    changed += 1
        return changed

    def _prepare(
        self, waiting: deque[Place], known: dict[tuple[str, str], FileState]
    ) -> list[tuple[FileState, list[tuple[str, Chunk]] | None]]:
        """The files that are new or changed with their pieces; None instead when only the time of a file is another.

        Takes from `waiting` what makes a few megabytes, so that little stands in memory at a time.
        """
        found: list[tuple[FileState, list[tuple[str, Chunk]] | None]] = []
        read_bytes = 0
        while waiting and read_bytes < BYTES_AT_ONCE:
            place = waiting.popleft()
            old = known.get((place.owner, place.source))
            if old is not None and folders.stamp(place) == (old.mtime_ns, old.size_bytes):
                continue
            try:
                file = folders.read(place)
            except OSError as error:
                logger.warning("%s cannot be read: %s", place.source, error.strerror)
                continue
            if file is None:
                continue
            read_bytes += min(file.size_bytes, folders.MOST_BYTES)
            state = FileState(place.owner, place.source, file.mtime_ns, file.size_bytes, file.digest)
            if old is not None and old.digest == file.digest:
                found.append((state, None))
                continue
            found.append((state, self._cut(file.text, place.source, chunks.day_in(place.source.rpartition("/")[2]))))
        return found

    def _cut_messages(self, messages: Sequence[SessionMessage]) -> list[tuple[SessionMessage, list[tuple[str, Chunk]]]]:
        return [
            (message, self._cut(message.content[:LARGEST_MESSAGE_CHARS], message.title, self._day_of(message)))
            for message in messages
        ]

    def _day_of(self, message: SessionMessage) -> str:
        return datetime.fromisoformat(message.timestamp).astimezone(self._zone).date().isoformat()

    def _cut(self, text: str, title: str, day: str) -> list[tuple[str, Chunk]]:
        pieces = chunks.cut(text, size=self._cutting.size, overlap=self._cutting.overlap, title=_words(title), day=day)
        return [(_digest(piece), piece) for piece in pieces]


def _is_much(places: Iterable[Place]) -> bool:
    """Whether these files hold so much text that counting all words at the end is cheaper than piece by piece."""
    total = 0
    for place in places:
        total += min((folders.stamp(place) or (0, 0))[1], folders.MOST_BYTES)
        if total >= MANY_BYTES:
            return True
    return False


def _words(name: str) -> str:
    """A file's name as words: `users/ann/memory/garden-plans.md` becomes "garden plans"."""
    last = name.rpartition("/")[2].removesuffix(".md")
    return " ".join(last.replace("-", " ").replace("_", " ").split())


def _digest(chunk: Chunk) -> str:
    return hashlib.blake2b(
        f"{chunk.context}\0{chunk.date}\0{chunk.text}".encode(errors="replace"), digest_size=16
    ).hexdigest()
