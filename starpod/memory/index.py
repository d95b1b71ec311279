"""The memory index as the rest of the gateway sees it: finds passages in memory files and conversations, and keeps itself up to date."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import StarpodError, Unavailable
from starpod.memory import folders, messages_store, store
from starpod.memory.building import Builder, Cutting
from starpod.memory.places import NOBODY
from starpod.memory.types import AGENT, Filters, Hit, Kind, Ranker, Reindexed, Scope
from starpod.memory.watch import FolderWatch
from starpod.paths import Paths
from starpod.sessions.types import AGENT_USER_IDS
from starpod.tasks import TaskSet

if TYPE_CHECKING:
    from starpod.memory.finding import Search

logger = logging.getLogger(__name__)

MOST_RESULTS = 50
DEBOUNCE_S = 0.3
RESCAN_S = 60.0
RECONCILE_S = 60.0
READERS = 3


class MemoryIndex:
    """Search over memory. `open` before use; `pulse` once a second; `close` at the end.

    `ranker` is a second opinion, fused by reciprocal rank; `on_change` is called on the loop after pieces were added or removed.
    """

    def __init__(self, core: Database, paths: Paths, config: Callable[[], Config], clock: Clock) -> None:
        self.ranker: Ranker | None = None
        self.on_change: Callable[[], None] = lambda: None
        self._core = core
        self._paths = paths
        self._config = config
        self._clock = clock
        self._path = paths.db_dir / "memory.db"
        self._database: Database | None = None
        self._tasks = TaskSet("memory-index")
        self._watch = FolderWatch(lambda: folders.watched(paths), self.note_changed)
        self._is_watching = False
        self._noted: dict[Path, float] = {}
        self._writing = asyncio.Lock()
        self._rebuilding: asyncio.Task[Reindexed] | None = None
        self._core_generation = -1
        self._scanned_at = self._reconciled_at = clock.monotonic()
        self._opened = asyncio.Event()
        self._search_type: type[Search] | None = None
        self._searches = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> None:
        """Begin to open the file, watch the folders and take in what changed meanwhile, all in the background."""
        self._tasks.spawn(self._begin(), name="open")

    async def ready(self) -> None:
        """Wait until everything that was there at `open` can be found."""
        await self._opened.wait()
        async with self._writing:
            pass

    async def close(self) -> None:
        """Stop and close the file."""
        await self._watch.close()
        await self._tasks.close()
        if self._database is not None:
            await asyncio.to_thread(self._database.close)

    async def search(
        self,
        text: str,
        *,
        user_id: str | None,
        is_admin: bool = False,
        limit: int = 10,
        kind: Kind | None = None,
        source: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[Hit]:
        """What answers `text`, best first: any text is a question, and one without words finds nothing.

        Looks into the files of `user_id` (None while no user exists) and of the agent, and into the conversations of `user_id`, for
        admins also the agent's own. `since` and `until` are ISO days. Raises Unavailable while the index cannot be read.
        """
        if self._search_type is None:
            self._search_type = await asyncio.to_thread(_import_search)
        limit = max(0, min(limit, MOST_RESULTS))
        scopes = _scopes(user_id or NOBODY, is_admin=is_admin or user_id is None, kind=kind)
        filters = Filters(source, since, until)
        search = self._search_type(text, today=self.today(), scopes=scopes, filters=filters, limit=limit)
        if search.is_empty or not limit:
            return []
        database = await self._live()
        settings = self._config().memory
        self._searches += 1
        self._idle.clear()
        try:
            second = await self._second(search.text, scopes, database, limit)
            hits = await database.read(
                search.run, second, half_life_days=settings.half_life_days, mmr_lambda=settings.mmr_lambda
            )
        finally:
            self._searches -= 1
            if not self._searches:
                self._idle.set()
        return await self._living(hits)

    def note_changed(self, path: Path) -> None:
        """A file or folder has changed: it is looked at within a second or two. Call it on the loop."""
        if path.suffix == ".md":
            if folders.place_of(self._paths, path) is not None:
                self._noted.setdefault(path, self._clock.monotonic())
        elif not path.is_relative_to(self._paths.db_dir):
            self._noted.setdefault(path, self._clock.monotonic())

    async def refresh(self, paths: Iterable[Path] | None = None) -> None:
        """Take in what changed now: these files, or, without `paths`, whatever changed. Raises Unavailable."""
        database = await self._live()
        async with self._writing:
            builder = self._builder(database)
            changed = await builder.sync(None if paths is None else list(paths))
        if changed:
            self.on_change()

    async def reindex(self) -> Reindexed:
        """Build the index anew beside the live one, then put it in its place; searches go on meanwhile.

        A rebuild that is running already is joined. Raises Unavailable for a failing disk, and the old index stays.
        """
        if self._rebuilding is None or self._rebuilding.done():
            self._rebuilding = self._tasks.spawn(self._rebuild(), name="rebuild")
        return await asyncio.shield(self._rebuilding)

    async def pulse(self) -> None:
        """Take in noted changes and new messages. Returns at once: the work runs beside."""
        if self._database is None or self._writing.locked():
            return
        now = self._clock.monotonic()
        due = [path for path, noted_at in self._noted.items() if now - noted_at >= DEBOUNCE_S]
        for path in due:
            del self._noted[path]
        if not self._is_watching and now - self._scanned_at >= RESCAN_S:
            self._scanned_at = now
            due.append(self._paths.agent_home)
        if due:
            self._tasks.spawn(self._quietly(self._refresh_noted(due)), name="refresh")
        elif self._core.generation != self._core_generation:
            self._tasks.spawn(self._quietly(self.refresh_messages()), name="messages")

    async def _refresh_noted(self, due: list[Path]) -> None:
        if any(path.suffix != ".md" for path in due):
            await self._watch.follow()
        await self.refresh(due)

    def settings_changed(self) -> None:
        """The sizes of pieces may be others now: what was cut otherwise is cut again at the next beat."""
        self._noted.setdefault(self._paths.agent_home, self._clock.monotonic())

    async def refresh_messages(self) -> None:
        """Take in what was said since the last time, and forget what was deleted."""
        database = await self._live()
        async with self._writing:
            self._core_generation = self._core.generation
            builder = self._builder(database)
            changed = await builder.add_messages()
            now = self._clock.monotonic()
            if now - self._reconciled_at >= RECONCILE_S:
                self._reconciled_at = now
                changed += await builder.forget_deleted_sessions()
        if changed:
            self.on_change()

    def forget_messages(self, session_id: str, message_ids: Sequence[int]) -> None:
        """Single messages were deleted. They are not found any more from now on, and their words go a moment later."""
        self._tasks.spawn(self._quietly(self._forget_messages(session_id, message_ids)), name="forget-messages")

    async def _forget_messages(self, session_id: str, message_ids: Sequence[int]) -> None:
        database = await self._live()
        async with self._writing:
            changed = await database.run(store.delete_messages, session_id, message_ids)
        if changed:
            self.on_change()

    async def counts(self) -> tuple[int, int]:
        """How many files and pieces can be found."""
        return await (await self._live()).read(store.counts)

    async def keys(self) -> list[tuple[str, str]]:
        """Owner and digest of every piece."""
        return await (await self._live()).read(store.keys)

    async def texts(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """What these pieces say, their headings first; those that are gone are left out."""

        def collect(connection: store.Connection) -> dict[tuple[str, str], str]:
            found = store.candidates(connection, store.numbers_of(connection, keys))
            return {(each.owner, each.digest): f"{each.context}\n{each.text}" for each in found}

        return await (await self._live()).read(collect)

    def today(self) -> date:
        """The day where the people are."""
        return self._clock.now().astimezone(self._zone()).date()

    def _zone(self) -> ZoneInfo | None:
        zone = self._config().timezone
        return ZoneInfo(zone) if zone else None

    async def _begin(self) -> None:
        async with self._writing:
            self._database = await asyncio.to_thread(open_index, self._path)
            self._opened.set()
            self._is_watching = await self._watch.start()
            builder = self._builder(self._database)
            try:
                changed = await builder.sync(None) + await builder.add_messages()
                changed += await builder.forget_deleted_sessions()
            except StarpodError as error:
                logger.warning("the memory index is not up to date: %s", error)
            else:
                if changed:
                    logger.info("memory index: %d files have changed or are new", changed)
                    self.on_change()

    async def _rebuild(self) -> Reindexed:
        began = time.monotonic()
        await self._live()
        fresh = self._path.with_name("memory.db.rebuild")
        logger.info("rebuilding the memory index")
        await asyncio.to_thread(remove_index, fresh)
        database = Database(fresh, readers=1)
        try:
            builder = self._builder(database)
            await builder.build()
            files, chunks = await database.read(store.counts)
            await database.read(store.checkpoint)
        except BaseException:
            await asyncio.to_thread(database.close)
            await asyncio.to_thread(remove_index, fresh)
            raise
        await asyncio.to_thread(database.close)
        async with self._writing:
            await self._swap(fresh)
        seconds = round(time.monotonic() - began, 3)
        logger.info("memory index rebuilt: %d files, %d pieces in %.1f s", files, chunks, seconds)
        # What changed while we read was written into the old index.
        await self._quietly(self.refresh())
        await self._quietly(self.refresh_messages())
        self.on_change()
        return Reindexed(files, chunks, seconds)

    async def _swap(self, fresh: Path) -> None:
        old, self._database = self._database, None
        self._opened.clear()
        try:
            async with asyncio.timeout(10.0):
                await self._idle.wait()
        except TimeoutError:
            logger.warning("a search takes very long; the index is replaced under it")
        try:
            if old is not None:
                await asyncio.to_thread(old.close)
            await asyncio.to_thread(replace_index, fresh, self._path)
        finally:
            self._database = await asyncio.to_thread(open_index, self._path)
            self._opened.set()

    async def _live(self) -> Database:
        """The open index; while it is being replaced, a moment later."""
        if self._database is None:
            try:
                async with asyncio.timeout(10.0):
                    await self._opened.wait()
            except TimeoutError as error:
                raise Unavailable("The memory index is not open yet. Try again in a moment.") from error
        assert self._database is not None
        return self._database

    async def _second(self, text: str, scopes: Sequence[Scope], database: Database, limit: int) -> list[int]:
        if self.ranker is None:
            return []
        owners = list(dict.fromkeys(scope.owner for scope in scopes))
        keys = await self.ranker.rank(text, owners, max(30, 3 * limit))
        return await database.read(store.numbers_of, keys) if keys else []

    async def _living(self, hits: list[Hit]) -> list[Hit]:
        """Without messages that were deleted a moment ago."""
        said = [each.message_id for each in hits if each.message_id is not None]
        if not said:
            return hits
        living = await self._core.read(messages_store.living_messages, said)
        return [each for each in hits if each.message_id is None or each.message_id in living]

    def _builder(self, database: Database) -> Builder:
        memory = self._config().memory
        cutting = Cutting(memory.chunk_size, memory.chunk_overlap)
        return Builder(database, self._core, self._paths, cutting, self._zone())

    async def _quietly(self, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except StarpodError as error:
            logger.warning("the memory index is not up to date: %s", error)


def open_index(path: Path) -> Database:
    """Open the file; one that is missing, damaged or of another version is begun anew. Blocks."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    remove_index(path.with_name(f"{path.name}.rebuild"))
    for attempt in (1, 2):
        path.touch(mode=0o600)
        database = Database(path, readers=READERS)
        try:
            if not database.read_here(store.is_current):
                if database.read_here(lambda connection: connection.get_tables()):
                    raise Unavailable("The memory index was made by another version.")
                database.run_here(store.create)
            database.leave()
            return database
        except Exception as error:
            database.close()
            if attempt == 2:
                raise
            logger.warning("the memory index is built anew: %s", error)
            remove_index(path)
    raise AssertionError("unreachable")


def replace_index(fresh: Path, path: Path) -> None:
    """Put a closed, finished index in the place of another one that nobody has open."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    fresh.chmod(0o600)
    fresh.replace(path)
    for suffix in ("-wal", "-shm"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


def remove_index(path: Path) -> None:
    """Delete an index that nobody has open."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _scopes(user_id: str, *, is_admin: bool, kind: Kind | None) -> list[Scope]:
    scopes = [Scope(AGENT, "file"), Scope(user_id, "file"), Scope(user_id, "message")]
    if is_admin:
        scopes += [Scope(owner, "message") for owner in AGENT_USER_IDS]
    return [scope for scope in dict.fromkeys(scopes) if kind in (None, scope.kind)]


def _import_search() -> type[Search]:
    from starpod.memory.finding import Search

    return Search
