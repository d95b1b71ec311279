"""Deletes messages of a conversation and what is elsewhere of them: in the searches, the record, the files, the model's past."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from starpod.agent import erasure_store
from starpod.agent.erasure_store import Scope
from starpod.agent.session_files import HomeOf
from starpod.agent.turns import Turns
from starpod.db.database import Database
from starpod.memory.files import MemoryFiles
from starpod.memory.index import MemoryIndex
from starpod.sessions.types import Session, StoredFile, Viewer

logger = logging.getLogger(__name__)

Listener = Callable[[Session, tuple[int, ...]], None]
"""Hears of a session and the ids of its messages that are gone."""


class WriteRecord(Protocol):
    """Writes a closed session to the memory folder."""

    async def __call__(self, session: Session, *, is_admin: bool) -> None: ...


class Deletions:
    """What is deleted here is gone for good. What it cost stays booked, and what the agent wrote into its memory stays there."""

    def __init__(
        self,
        database: Database,
        turns: Turns,
        memory: MemoryFiles,
        index: MemoryIndex,
        write_record: WriteRecord,
        home_of: HomeOf,
    ) -> None:
        self._database = database
        self._turns = turns
        self._memory = memory
        self._index = index
        self._write_record = write_record
        self._home_of = home_of
        self._listeners: list[Listener] = []

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of deleted messages; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def delete_message(
        self, viewer: Viewer, session_id: str, message_id: int, scope: Scope = "message"
    ) -> tuple[int, ...]:
        """Delete a message, or all that the agent said and did in its turn; returns the ids of what is gone.

        A tool call and its result go together. Raises NotFound for what the viewer may not see, Conflict while the session is answered.
        """
        deleted = await self._database.run(erasure_store.delete, session_id, viewer.owner_ids, message_id, scope)
        self._turns.forget(session_id)
        self._index.forget_messages(session_id, deleted.message_ids)
        if await self.forget_record(session_id):
            await self._write_record(deleted.session, is_admin=viewer.is_admin)
        await self.remove_files(deleted.files)
        for listener in tuple(self._listeners):
            listener(deleted.session, deleted.message_ids)
        return deleted.message_ids

    async def forget_record(self, session_id: str) -> bool:
        """Delete the file of the memory folder that a session was written to; False when there is none."""
        try:
            return await self._memory.forget_session(session_id)
        except OSError as error:
            logger.warning("the export of a deleted session could not be removed: %s", error.strerror)
            return False

    async def remove_files(self, files: Iterable[StoredFile]) -> None:
        """Delete files that came with messages which are gone."""
        for file in files:
            path = self._home_of(file.user_id, is_admin=file.is_admin) / file.path
            try:
                await asyncio.to_thread(path.unlink, missing_ok=True)
            except OSError as error:
                logger.warning("a file of a deleted message could not be removed: %s", error.strerror)
