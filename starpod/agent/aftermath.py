"""What follows a turn or the end of a session, in the background: the daily log, the review, the record of the conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from starpod.agent import review_store
from starpod.agent.review import MemoryKeeper, Subject
from starpod.agent.turn import Turn
from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import StarpodError
from starpod.memory import transcripts
from starpod.memory.files import MemoryFiles
from starpod.memory.places import has_own_memory
from starpod.memory.versions import Writer
from starpod.sessions import store as sessions
from starpod.sessions.types import Session
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

LEFT_ALONE = timedelta(minutes=30)
"""A session that was silent for so long is looked at when its user goes on elsewhere; going to and fro must not cost a call each time."""
MOST_LEFT = 3
FORGOTTEN = timedelta(days=30)
REVIEWED_ROWS = 1_000


class Aftermath:
    """Called on the loop; everything it does is a task of `tasks`."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        config: Callable[[], Config],
        memory: MemoryFiles,
        keeper: MemoryKeeper,
        tasks: TaskSet,
    ) -> None:
        self._database = database
        self._clock = clock
        self._config = config
        self._memory = memory
        self._keeper = keeper
        self._tasks = tasks
        self._busy: set[str] = set()

    def turn_ended(self, turn: Turn) -> None:
        """Log and review what was said, where the settings ask for it."""
        # Jobs repeat themselves, and write down by themselves what matters.
        if turn.state != "completed" or turn.request.triggered_by is not None or not has_own_memory(turn.user_id):
            return
        if turn.config.memory.auto_log:
            self._tasks.spawn(self._log(turn), name="auto-log")
        if turn.config.memory.nudge_interval:
            self._tasks.spawn(self._review_due(turn), name="review")

    def session_closed(self, session_id: str, user_id: str, *, is_admin: bool) -> None:
        """Keep the record of a session that a silence has ended, and look through what was not looked at yet."""
        self._tasks.spawn(self._close(session_id, user_id, is_admin), name="close-session")

    async def write_record(self, session: Session, *, is_admin: bool) -> None:
        """Write a closed session to the memory folder, in place of an earlier record of it."""
        rows = await self._database.read(sessions.list_messages, session.id)
        writer = Writer(session.user_id, is_admin or not has_own_memory(session.user_id), "export", session.id)
        try:
            text = await asyncio.to_thread(transcripts.export, session, rows)
            await self._memory.write(writer, transcripts.export_name(session), text)
        except StarpodError as error:
            logger.warning("a closed session could not be written to the memory folder: %s", error)

    async def _log(self, turn: Turn) -> None:
        writer = Writer(turn.user_id, turn.request.is_admin, "log", turn.session_id, turn.id)
        try:
            await self._memory.append_daily(writer, transcripts.exchange(turn.request.text, turn.text))
        except StarpodError as error:
            logger.warning("a turn could not be added to the daily log: %s", error)

    async def _review_due(self, turn: Turn) -> None:
        config, user_id, is_admin = turn.config, turn.user_id, turn.request.is_admin
        now = self._clock.now()
        left = await self._database.read(
            review_store.list_left, user_id, turn.session_id, now - FORGOTTEN, now - LEFT_ALONE, MOST_LEFT
        )
        count = await self._database.read(review_store.count_unreviewed, turn.session_id)
        if count >= config.memory.nudge_interval:
            left.insert(0, (turn.session_id, count))
        for session_id, unseen in left:
            subject = Subject("review", user_id, is_admin, session_id, turn.id, config, turn.request.model)
            await self._review(subject, unseen)

    async def _review(self, subject: Subject, count: int) -> None:
        if subject.session_id in self._busy:
            return
        self._busy.add(subject.session_id)
        try:
            rows = await self._database.read(sessions.list_messages, subject.session_id, REVIEWED_ROWS)
            await self._keeper.keep(subject, [(row.role, row.content) for row in rows])
            # Also after a failure: a provider that is down must not be asked after each message. Not after a shutdown.
            await self._database.run(review_store.mark_reviewed, subject.session_id, count)
        finally:
            self._busy.discard(subject.session_id)

    async def _close(self, session_id: str, user_id: str, is_admin: bool) -> None:
        config = self._config()
        session = await self._database.read(sessions.find_session, session_id, None)
        if session is None:
            return
        if config.memory.export_sessions:
            await self.write_record(session, is_admin=is_admin)
        count = await self._database.read(review_store.count_unreviewed, session_id)
        if count and config.memory.nudge_interval and has_own_memory(user_id):
            await self._review(Subject("review", user_id, is_admin, session_id, "", config), count)
