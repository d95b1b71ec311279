"""Delivers what must arrive outside. A run's result and its delivery are two states: the first never waits for the second.

A text is a row from the moment at which what it tells was stored. It is sent at least once; a second time only when the process died after
the channel took it and before that was noted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import NotFound, Unavailable, Upstream
from starpod.outbox import store
from starpod.outbox.types import ChannelName, Claimed, Delivery, RetryLater, Send, Undeliverable
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 1800.0
OLDEST_S = 24 * 3600.0
"""A text older than this is given up: people look it up in the browser by then."""
TELLING_AFTER = 3
AT_ONCE = 8
CLOSE_GRACE_S = 3.0
SEND_TIMEOUT_S, LEASE_S = 90.0, 120.0
SENT_KEPT_S, DEAD_KEPT_S = 7 * 86400.0, 30 * 86400.0

Tell = Callable[[ChannelName, str, bool, str], Awaitable[None]]
"""`tell(channel, user_id, is_failing, reason)`: a channel fails or works again; user_id '' is the channel as a whole."""


class Outbox:
    """Sends while at least one channel is registered; without any it costs nothing."""

    def __init__(self, database: Database, clock: Clock, tell: Tell) -> None:
        self._database = database
        self._clock = clock
        self._tell = tell
        self._channels: dict[ChannelName, Send] = {}
        self._tasks = TaskSet("outbox")
        self._worker: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._sending: dict[int, asyncio.Task[None]] = {}

    async def register(self, channel: ChannelName, send: Send) -> None:
        """A channel works from now on; what waits for it leaves."""
        self._channels[channel] = send
        await self._database.run(store.set_channel, channel, True)
        if self._worker is None:
            self._worker = self._tasks.spawn(self._work(), name="worker")
        self.wake()

    async def hurry(self, channel: ChannelName) -> None:
        """A channel can be reached again: what waits for it is due now."""
        await self._database.run(store.hurry, channel, self._now())
        self.wake()

    async def unregister(self, channel: ChannelName, *, is_off: bool) -> None:
        """A channel pauses; what waits for it stays. `is_off`: it was switched off, so nothing new is kept for it."""
        self._channels.pop(channel, None)
        if is_off:
            await self._database.run(store.set_channel, channel, False)

    async def close(self, *, grace_s: float = CLOSE_GRACE_S) -> None:
        """Stop. What is being sent has `grace_s` seconds to arrive; else it is cut off, and sent again when its lease has run out."""
        self._channels.clear()
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=grace_s)
        await self._tasks.close()

    def wake(self) -> None:
        """Something new may be there."""
        self._news.set()

    async def page(
        self, viewer: Viewer, *, state: str | None, before: int | None, limit: int
    ) -> tuple[list[Delivery], dict[str, int]]:
        """The newest deliveries, everybody's for admins, and how many are in which state."""
        user_id = _scope(viewer)
        found = await self._database.read(store.list_page, user_id, state, before, limit)
        return found, await self._database.read(store.count, user_id)

    async def counts(self) -> dict[str, int]:
        """How many deliveries are in which state, of everybody."""
        return await self._database.read(store.count, None)

    async def retry(self, viewer: Viewer, id_: int) -> None:
        """Try one again at once. NotFound unless it waits or was given up."""
        if not await self._database.run(store.retry, id_, _scope(viewer), self._now()):
            raise NotFound(f"No delivery {id_} waits or was given up")
        self.wake()

    async def drop(self, viewer: Viewer, id_: int) -> None:
        """Remove one. NotFound when there is none, or it is being sent now."""
        if not await self._database.run(store.drop, id_, _scope(viewer)):
            raise NotFound(f"There is no delivery {id_} that can be dropped")

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _work(self) -> None:
        while True:
            self._news.clear()
            wait_s: float | None = FIRST_WAIT_S
            try:
                wait_s = await self._round()
            except Unavailable as error:
                logger.warning("the outbox waits for its database: %s", error)
            except Exception:
                logger.exception("a round of the outbox failed")
            try:
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _round(self) -> float | None:
        """Send what is due; returns in how many seconds more is, None when nothing waits."""
        channels: list[str] = list(self._channels)
        if not channels:
            return None
        free = AT_ONCE - len(self._sending)
        if free <= 0:
            return None  # the end of a delivery wakes us
        claimed = await self._database.run(store.claim, channels, self._now(), LEASE_S, free)
        for each in claimed:
            # When the clock is set or the machine slept, a lease may end while its text is still being sent here.
            if each.id not in self._sending:
                self._sending[each.id] = self._tasks.spawn(self._deliver(each), name=f"delivery.{each.id}")
        if claimed:
            await self._database.run(store.sweep, self._now() - SENT_KEPT_S, self._now() - DEAD_KEPT_S)
        due = await self._database.read(store.next_due, channels)
        # The clock may be set while it waits.
        return None if due is None else min(max(0.05, due - self._now()), LONGEST_WAIT_S)

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._attempt(claimed)
        finally:
            self._sending.pop(claimed.id, None)
            self.wake()

    async def _attempt(self, claimed: Claimed) -> None:
        send = self._channels.get(claimed.channel)
        if send is None:
            await self._database.run(store.put_back, claimed.id, "", self._now(), counts=False)
            return
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await send(claimed.user_id, claimed.text)
        except Undeliverable as error:
            await self._database.run(store.give_up, claimed.id, str(error), self._now())
            await self._note(claimed.channel, claimed.user_id, str(error))
        except RetryLater as error:
            await self._later(claimed, str(error), error.seconds)
        except (Upstream, Unavailable) as error:
            await self._later(claimed, str(error), 0.0)
        except TimeoutError:
            await self._later(claimed, "no answer in time", 0.0)
        except Exception as error:
            logger.exception("delivery %d failed", claimed.id)
            await self._later(claimed, f"internal error ({type(error).__name__})", 0.0)
        else:
            await self._note_sent(claimed.id)
            await self._works(claimed)

    async def _note_sent(self, id_: int) -> None:
        """Note that the channel took a text, however long the database is away: without the note it would be sent again."""
        while True:
            try:
                return await self._database.run(store.mark_sent, id_, self._now())
            except Unavailable as error:
                logger.warning("delivery %d arrived, but that cannot be noted yet: %s", id_, error)
                await asyncio.sleep(FIRST_WAIT_S)

    async def _later(self, claimed: Claimed, reason: str, asked_s: float) -> None:
        now = self._now()
        if now - claimed.created_at > OLDEST_S:
            await self._database.run(store.give_up, claimed.id, f"given up after a day: {reason}", now)
        else:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 3 ** min(claimed.attempt - 1, 10)) * random.uniform(0.8, 1.2)  # noqa: S311
            retry_at = now + max(wait_s if not asked_s else 0.0, asked_s)
            await self._database.run(store.put_back, claimed.id, reason, retry_at, counts=not asked_s)
            if asked_s:
                await self._database.run(store.hold, claimed.channel, retry_at)
        if claimed.attempt >= TELLING_AFTER and not asked_s:
            await self._note(claimed.channel, "", reason)

    async def _note(self, channel: ChannelName, user_id: str, reason: str) -> None:
        if await self._database.run(store.note_trouble, channel, user_id, reason, self._now()):
            await self._tell(channel, user_id, True, reason)

    async def _works(self, claimed: Claimed) -> None:
        for user_id in ("", claimed.user_id):
            if await self._database.run(store.end_trouble, claimed.channel, user_id):
                await self._tell(claimed.channel, user_id, False, "")
                if not user_id:
                    await self._database.run(store.hurry, claimed.channel, self._now())


def _scope(viewer: Viewer) -> str | None:
    return None if viewer.is_admin else viewer.user_id
