"""Streamed text on its way to disk: what all turns said within a tenth of a second goes down in one transaction."""

from __future__ import annotations

import asyncio
import logging

from starpod.agent import store
from starpod.db.database import Database
from starpod.errors import Unavailable
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

FLUSH_AFTER_S = 0.1


class Journal:
    """Collects text per turn; nothing runs while nobody speaks."""

    def __init__(self, database: Database, tasks: TaskSet) -> None:
        self._database = database
        self._tasks = tasks
        self._waiting: dict[str, list[str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_flushing = False

    def add(self, turn_id: str, text: str) -> None:
        """Take note of streamed text; it is on disk within a quarter of a second, a busy disk permitting."""
        self._waiting.setdefault(turn_id, []).append(text)
        if self._timer is None and not self._is_flushing:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self._start)

    def discard(self, turn_id: str) -> None:
        """Forget what waits for a turn, because its whole text is about to be stored."""
        self._waiting.pop(turn_id, None)

    async def flush(self) -> None:
        """Write what waits, now."""
        entries = [(turn_id, "".join(texts)) for turn_id, texts in self._waiting.items()]
        self._waiting.clear()
        if not entries:
            return
        try:
            await self._database.run(store.append_journal, entries)
        except Unavailable as error:
            # The text is still in memory and stored whole with the answer; only a crash right now would lose it.
            logger.warning("streamed text could not be journalled: %s", error)

    def _start(self) -> None:
        self._timer = None
        self._is_flushing = True
        self._tasks.spawn(self._run(), name="journal")

    async def _run(self) -> None:
        try:
            await self.flush()
        finally:
            self._is_flushing = False
            if self._waiting:
                self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self._start)
