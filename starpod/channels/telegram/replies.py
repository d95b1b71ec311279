"""Brings the answer of a turn into its chat: as it comes, at its end, and, after a restart, what was not sent yet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starpod.agent.service import Agent
from starpod.agent.turn import Turn
from starpod.agent.types import Published
from starpod.channels.telegram import store
from starpod.channels.telegram.answer import NO_ANSWER, Answer
from starpod.channels.telegram.chunks import Chunk, to_chunks
from starpod.channels.telegram.client import Client
from starpod.channels.telegram.failures import Failing, Refused, Unreachable
from starpod.channels.telegram.types import Address, StreamMode
from starpod.db.database import Database
from starpod.errors import NotFound
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

TYPING_S = 4.0
PRIVATE_EDIT_S = 1.0
GROUP_EDIT_S = 3.0
"""Telegram takes about a message a second in a chat, twenty a minute in a group (core.telegram.org/bots/faq)."""
NOT_SENT = Chunk("(A part of the answer could not be sent.)", "(A part of the answer could not be sent.)")


@dataclass(frozen=True, slots=True)
class Owed:
    """An answer that `sender_id` waits for in a chat. `sent` and `files_sent` tell how much of it is there already."""

    update_id: int
    address: Address
    sender_id: int
    viewer: Viewer
    session_id: str
    turn_id: str
    sent: tuple[int, ...] = ()
    files_sent: int = 0


class Replies:
    """One for a running bot. `begin` returns at once; the answers of a chat arrive in the order in which they were begun."""

    def __init__(
        self,
        *,
        agent: Agent,
        database: Database,
        client: Client,
        mode: Callable[[], StreamMode],
        may_read: Callable[[Owed], Awaitable[bool]],
    ) -> None:
        self._agent = agent
        self._database = database
        self._client = client
        self._mode = mode
        self._may_read = may_read
        self._tasks = TaskSet("telegram-replies")
        self._last: dict[int, asyncio.Task[None]] = {}
        self.chats: dict[str, Address] = {}
        """Where the turns that are being answered were asked, by turn id."""

    def begin(self, owed: Owed, turn: Turn | None) -> None:
        """Answer by a turn; None when it is no longer in memory."""
        chat_id = owed.address.chat_id
        before = self._last.get(chat_id)
        self.chats[owed.turn_id] = owed.address
        task = self._tasks.spawn(self._answer(owed, turn, before), name=f"reply.{owed.update_id}")
        self._last[chat_id] = task

        def ended(task: asyncio.Task[None]) -> None:
            self.chats.pop(owed.turn_id, None)
            if self._last.get(chat_id) is task:
                del self._last[chat_id]

        task.add_done_callback(ended)

    def turns_of(self, chat_id: int) -> list[str]:
        """The turns that a chat waits for, the oldest first."""
        return [turn_id for turn_id, address in self.chats.items() if address.chat_id == chat_id]

    async def settle(self, timeout_s: float) -> None:
        """Give answers of turns that have ended a moment to leave."""
        ending = [task for task in self._last.values() if not task.done()]
        if ending:
            await asyncio.wait(ending, timeout=timeout_s)

    async def close(self) -> None:
        """Leave off; what was not sent is sent when the channel is on again."""
        await self._tasks.close()

    async def _answer(self, owed: Owed, turn: Turn | None, before: asyncio.Task[None] | None) -> None:
        reply = _Reply(owed, self._database, self._client, self._mode())
        try:
            if turn is None:
                await self._replay(owed, reply.answer)
            else:
                await self._watch(turn, reply, before)
            if before is not None:
                await asyncio.wait([before])
            if await self._may_read(owed):
                await reply.finish()
            await self._database.run(store.mark_done, self._client.bot_id, [owed.update_id])
        except (Refused, Unreachable) as error:
            logger.info("an answer cannot reach its Telegram chat: %s", error)
            await self._database.run(store.mark_done, self._client.bot_id, [owed.update_id])
        except Failing as error:
            logger.warning("an answer could not be sent to Telegram and is kept for the next start: %s", error)
        except Exception:
            # The same would happen after each start.
            logger.exception("an answer could not be sent to Telegram")
            await self._database.run(store.mark_done, self._client.bot_id, [owed.update_id])

    async def _replay(self, owed: Owed, answer: Answer) -> None:
        try:
            events = await self._agent.replay(owed.viewer, owed.session_id, owed.turn_id)
        except NotFound:
            # The conversation was deleted meanwhile: nothing is owed any more.
            raise Unreachable("its session was deleted") from None
        for published in events:
            answer.hear(published.event)

    async def _watch(self, turn: Turn, reply: _Reply, before: asyncio.Task[None] | None) -> None:
        """Follow a turn to its end, showing it as it comes once the answers before it are through."""
        news = asyncio.Event()

        def hear(published: Published) -> None:
            reply.answer.hear(published.event)
            news.set()

        async def at_end() -> None:
            await turn.ended.wait()
            news.set()

        unfollow = turn.follow(hear)
        helpers = TaskSet("telegram-reply")
        helpers.spawn(at_end(), name="end")
        helpers.spawn(self._type(reply.owed.address), name="typing")
        try:
            if before is not None:
                await asyncio.wait([before])
            while not turn.ended.is_set():
                await news.wait()
                news.clear()
                if not turn.ended.is_set() and reply.mode != "final_only":
                    await reply.show()
                if reply.mode == "live":
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(reply.pause_s):
                            await turn.ended.wait()
        finally:
            unfollow()
            await helpers.close()
        reply.answer.error = turn.error

    async def _type(self, address: Address) -> None:
        while True:
            await self._client.typing(address)
            await asyncio.sleep(TYPING_S)


class _Reply:
    """The messages of one answer. In live mode they are edited until they show it; otherwise each is sent once."""

    def __init__(self, owed: Owed, database: Database, client: Client, mode: StreamMode) -> None:
        self.owed = owed
        self.mode = mode
        self.answer = Answer()
        self.pause_s = PRIVATE_EDIT_S if owed.address.is_private else GROUP_EDIT_S
        self._database = database
        self._client = client
        self._sent = list(owed.sent)
        self._shown: list[str | None] = [None] * len(owed.sent)
        self._files_sent = owed.files_sent
        self._quiet_until = 0.0

    async def show(self) -> None:
        """Bring the chat up to date while the turn runs. A message that fails now is sent at the end."""
        if asyncio.get_running_loop().time() < self._quiet_until:
            return
        began = asyncio.get_running_loop().time()
        chunks = await rendered(self.answer.texts_so_far(self.mode))
        # A very long answer is read anew each time: that must stay a small part of the work.
        self.pause_s = max(self.pause_s, 10 * (asyncio.get_running_loop().time() - began))
        try:
            await self._bring(chunks, is_patient=False)
        except Failing as error:
            self._quiet_until = asyncio.get_running_loop().time() + max(error.wait_s, self.pause_s)

    async def finish(self) -> None:
        """Send what the turn has ended with. Raises Unreachable, Failing."""
        chunks = await rendered(self.answer.texts(self.mode))
        if not chunks and self.answer.needs_words:
            chunks = await rendered([NO_ANSWER])
        await self._bring(chunks, is_patient=True)
        for message_id in self._sent[len(chunks) :] if self.mode == "live" else ():
            await self._client.delete(self.owed.address.chat_id, message_id)
        for file in self.answer.files[self._files_sent :]:
            try:
                await self._client.send_file(self.owed.address, file.file_name, file.mime_type, file.data)
            except Refused as error:
                logger.info("Telegram refused a file: %s", error)
                await self._client.send(self.owed.address, NOT_SENT)
            self._files_sent += 1
            await self._note()

    async def _bring(self, chunks: list[Chunk], *, is_patient: bool) -> None:
        for place, chunk in enumerate(chunks):
            if place >= len(self._sent):
                await self._send(chunk, is_patient=is_patient)
            elif self.mode == "live" and self._shown[place] != chunk.html:
                await self._edit(place, chunk, is_patient=is_patient)

    async def _send(self, chunk: Chunk, *, is_patient: bool) -> None:
        address = self.owed.address
        if self._sent:
            address = Address(address.chat_id, address.thread_id)
        try:
            message_id = await self._client.send(address, chunk, is_patient=is_patient)
        except Refused as error:
            logger.warning("Telegram refused a part of an answer: %s", error)
            message_id = await self._client.send(address, NOT_SENT, is_patient=is_patient)
        self._sent.append(message_id or 0)
        self._shown.append(chunk.html)
        await self._note()

    async def _edit(self, place: int, chunk: Chunk, *, is_patient: bool) -> None:
        chat_id, message_id = self.owed.address.chat_id, self._sent[place]
        try:
            is_there = bool(message_id) and await self._client.edit(chat_id, message_id, chunk, is_patient=is_patient)
        except Refused as error:
            logger.info("Telegram refused an edit: %s", error)
            is_there = True
        if not is_there:
            # Deleted in the chat, or too old to be edited.
            address = Address(chat_id, self.owed.address.thread_id)
            self._sent[place] = await self._client.send(address, chunk, is_patient=is_patient) or 0
            await self._note()
        self._shown[place] = chunk.html

    async def _note(self) -> None:
        """Remember how far it got at once: after a crash the rest is sent, and no more than the rest."""
        owed = self.owed
        await self._database.run(store.mark_sent, self._client.bot_id, owed.update_id, self._sent, self._files_sent)


async def rendered(texts: list[str]) -> list[Chunk]:
    """The messages that show these texts. Long ones take milliseconds to read, so not on the loop."""
    return await asyncio.to_thread(lambda: [chunk for text in texts for chunk in to_chunks(text)])
