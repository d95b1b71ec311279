"""One running bot: polls, keeps what came before Telegram is told that it arrived, and says once what is wrong and when it is over."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starpod.agent.service import Agent
from starpod.auth.limits import SlidingWindow
from starpod.auth.service import Auth
from starpod.channels.telegram import store
from starpod.channels.telegram.chats import Bot, Chats
from starpod.channels.telegram.client import Client
from starpod.channels.telegram.commands import MENU
from starpod.channels.telegram.failures import Failing, Refused, Unreachable
from starpod.channels.telegram.incoming import chat_id_of, update_id_of
from starpod.channels.telegram.questions import Questions
from starpod.channels.telegram.replies import Owed, Replies, rendered
from starpod.channels.telegram.types import Address
from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import Unavailable, Upstream
from starpod.outbox.types import RetryLater, Undeliverable
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
REVOKED_WAIT_S = 120.0
TELLING_AFTER = 2
"""A single poll that fails is common on long connections and worth no line in the log."""
KEPT = timedelta(days=14)
PRUNE_EVERY_S = 24 * 3600.0
FORGET_OFFSET_S = 6 * 24 * 3600.0
"""After a week without any update Telegram may number the next one anew, below the last."""
MOST_BEGUN = 100

Report = Callable[[str | None], None]


class RunningBot:
    """Made for one token; `run` until it is cancelled. `report` hears a problem that lasts, and None when it is over."""

    def __init__(
        self,
        *,
        token: str,
        api_url: str,
        agent: Agent,
        auth: Auth,
        database: Database,
        clock: Clock,
        config: Callable[[], Config],
        limiter: SlidingWindow,
        report: Report,
    ) -> None:
        self.client = Client(token, api_url)
        self.is_connected = False
        self._auth = auth
        self._database = database
        self._clock = clock
        self._report = report
        self._replies = Replies(
            agent=agent,
            database=database,
            client=self.client,
            mode=lambda: config().channels.telegram.stream_mode,
            may_read=self._may_read,
        )
        self._questions = Questions(agent, auth, self.client, self._replies, clock)
        self._chats = Chats(Bot(agent, auth, database, config, limiter, self.client, self._replies, self._questions))
        self._tasks = TaskSet("telegram-poll")
        self._begun: dict[tuple[int, str], int] = {}
        self._failures = 0
        self._offset: int | None = None
        self._came_at = 0.0
        self._pruned_at: float | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._tasks.spawn(self._run(), name="run")

    async def stop_polling(self) -> None:
        """Take nothing more; answers go on."""
        await self._tasks.close()
        await self._chats.close()

    async def close(self, *, grace_s: float = 0.0) -> None:
        """End everything. What was not done or sent stays in the database for the next one."""
        await self.stop_polling()
        if grace_s:
            await self._replies.settle(grace_s)
        await self._questions.close()
        await self._replies.close()
        await self.client.close()

    async def deliver(self, telegram_id: int, text: str) -> None:
        """Send a markdown text to a person. Raises RetryLater, Undeliverable, Upstream; see `Telegram.deliver`."""
        known = (telegram_id, text)
        arrived = self._begun.pop(known, 0)
        try:
            for chunk in (await rendered([text]))[arrived:]:
                await self.client.send(Address(telegram_id), chunk, is_patient=False)
                arrived += 1
        except Failing as error:
            if arrived:
                self._begun[known] = arrived
                while len(self._begun) > MOST_BEGUN:
                    del self._begun[next(iter(self._begun))]
            if error.wait_s:
                raise RetryLater(str(error), error.wait_s) from error
            raise Upstream(str(error)) from error
        except (Refused, Unreachable) as error:
            raise Undeliverable(str(error)) from error

    async def _run(self) -> None:
        while True:
            try:
                await self._connect()
                while True:
                    await self._poll()
            except (Failing, Refused, Unreachable) as error:
                await self._pause(str(error), error if isinstance(error, Failing) else None)
            except Unavailable as error:
                await self._pause(str(error), None)
            except Exception as error:
                logger.exception("polling Telegram failed")
                await self._pause(f"internal error ({type(error).__name__})", None)

    async def _connect(self) -> None:
        """Once: find out who the bot is, then go on with what was left."""
        if self.is_connected:
            return
        await self.client.connect(MENU)
        left = await self._database.read(store.list_open, self.client.bot_id)
        self.is_connected = True
        self._works()
        logger.info("Telegram: listening as @%s", self.client.username)
        self._questions.open()
        self._chats.take(left)

    async def _poll(self) -> None:
        now = self._clock.monotonic()
        if self._pruned_at is None or now - self._pruned_at > PRUNE_EVERY_S:
            self._pruned_at = now
            await self._database.run(store.prune, self._clock.now() - KEPT)
        if now - self._came_at > FORGET_OFFSET_S:
            self._offset = None
        updates = await self.client.updates(self._offset)
        self._works()
        if not updates:
            return
        self._came_at = self._clock.monotonic()
        found = [(number, update) for update in updates if (number := update_id_of(update)) is not None]
        if len(found) < len(updates):
            logger.info("Telegram sent %d updates that could not be read", len(updates) - len(found))
        rows = [(number, chat_id_of(update), _dumped(update)) for number, update in found]
        fresh = await self._database.run(store.add, self.client.bot_id, rows, self._clock.now())
        self._chats.take(fresh)
        if found:
            self._offset = max(number for number, _ in found) + 1
        if not fresh:
            # A server that goes on sending the same must not keep us busy.
            await asyncio.sleep(FIRST_WAIT_S)

    async def _pause(self, reason: str, failing: Failing | None) -> None:
        self._failures += 1
        is_lasting = failing is not None and failing.is_lasting
        if is_lasting or self._failures >= TELLING_AFTER:
            self._report(reason)
        wait_s = min(FIRST_WAIT_S * 2 ** min(self._failures - 1, 10), LONGEST_WAIT_S)
        if is_lasting:
            wait_s = REVOKED_WAIT_S
        elif failing is not None:
            wait_s = max(wait_s, failing.wait_s)
        await asyncio.sleep(wait_s)

    def _works(self) -> None:
        if self._failures:
            self.client.wake()
        self._failures = 0
        self._report(None)

    async def _may_read(self, owed: Owed) -> bool:
        """Whether who asked is still linked to the user whose answer it is."""
        user = await self._auth.telegram_user(owed.sender_id, None)
        return user is not None and user.id == owed.viewer.user_id


def _dumped(update: Any) -> str:
    """The update as it came; half surrogate pairs, which JSON can name but the database cannot hold, stay escaped."""
    return json.dumps(update)
