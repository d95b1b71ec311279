"""Runs the bot while the settings ask for it and a token is there, and begins anew when either changes. Cheap while the channel is off."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starpod.agent.service import Agent
from starpod.auth.limits import SlidingWindow
from starpod.auth.service import Auth
from starpod.channels.telegram.types import Status
from starpod.clock import Clock, format_time
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import Upstream
from starpod.events import ConfigReloaded, EventBus, VaultChanged
from starpod.imports import import_in_thread
from starpod.net.tls import tls_context
from starpod.outbox.service import Outbox
from starpod.outbox.types import Undeliverable
from starpod.tasks import TaskSet

if TYPE_CHECKING:
    from starpod.channels.telegram.poller import RunningBot

logger = logging.getLogger(__name__)

TOKEN = "TELEGRAM_BOT_TOKEN"  # noqa: S105 - the name of the variable
SHAPE = re.compile(r"\d{1,18}:[A-Za-z0-9_-]{3,200}", re.ASCII)
NO_TOKEN = f"enabled, but there is no {TOKEN}: keep it in the vault (`starpod vault set {TOKEN}`) or in the environment"
BAD_TOKEN = f"{TOKEN} is no bot token; @BotFather shows the right one, like 123456:ABC-..."
GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the running bot was made from; its mode and the agent's name are read as they are needed."""

    token: str
    api_url: str


class Telegram:
    """The channel. `start` once the gateway answers; `stop_polling` before the agent closes and `close` after it."""

    def __init__(
        self,
        *,
        agent: Agent,
        auth: Auth,
        database: Database,
        clock: Clock,
        events: EventBus,
        config: Callable[[], Config],
        secrets: Callable[[], Mapping[str, str]],
        limiter: SlidingWindow,
        outbox: Outbox,
    ) -> None:
        self._outbox = outbox
        self._agent = agent
        self._auth = auth
        self._database = database
        self._clock = clock
        self._events = events
        self._config = config
        self._secrets = secrets
        self._limiter = limiter
        self._tasks = TaskSet("telegram")
        self._lock = asyncio.Lock()
        self._wanted: _Wanted | None = None
        self._bot: RunningBot | None = None
        self._problem: tuple[str, str] | None = None
        self._is_reached = False
        self._is_on = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Run the bot if it is wanted, and follow the settings from now on; returns at once."""
        self._is_on = True
        self._unsubscribe = self._events.subscribe((ConfigReloaded, VaultChanged), lambda event: self._changed())
        self._changed()

    async def stop_polling(self) -> None:
        """Take no more messages; answers that are being written go on."""
        self._is_on = False
        self._unsubscribe()
        async with self._lock:
            if self._bot is not None:
                await self._bot.stop_polling()

    async def close(self) -> None:
        """End the bot, giving answers that are finished a moment to leave."""
        await self.stop_polling()
        async with self._lock:
            bot, self._bot, self._wanted = self._bot, None, None
            if bot is not None:
                await bot.close(grace_s=GRACE_S)
        await self._tasks.close()

    async def deliver(self, user_id: str, text: str) -> None:
        """Send a markdown text of any length to a user; returns once Telegram has taken all of it.

        Raises RetryLater, Undeliverable; Upstream for what may pass. Tried again with the same text, it goes on where it failed.
        """
        link = await self._auth.links.find(user_id)
        if link is None:
            raise Undeliverable("no Telegram account is linked to this user")
        if link.telegram_id is None:
            raise Undeliverable(f"@{link.username} has not written to the bot yet")
        if await self._auth.telegram_user(link.telegram_id, None) is None:
            raise Undeliverable("the user is deactivated")
        if self._bot is None or not self._bot.is_connected:
            raise Upstream(f"Telegram: {self._problem[0] if self._problem is not None else 'the channel is off'}")
        await self._bot.deliver(link.telegram_id, text)

    @property
    def status(self) -> Status:
        """How it is doing now."""
        problem, since = self._problem or (None, None)
        if problem is not None:
            return Status("failing", self._username, problem, since)
        if self._bot is None:
            return Status("off")
        return Status("running" if self._bot.is_connected else "starting", self._username)

    @property
    def _username(self) -> str | None:
        return self._bot.client.username or None if self._bot is not None else None

    def _changed(self) -> None:
        self._tasks.spawn(self._apply(), name="apply")

    async def _apply(self) -> None:
        async with self._lock:
            if not self._is_on:
                return
            wanted = self._read_wanted()
            if wanted is None:
                await self._outbox.unregister("telegram", is_off=not self._config().channels.telegram.enabled)
            if wanted == self._wanted:
                return
            bot, self._bot, self._wanted = self._bot, None, wanted
            if bot is not None:
                await bot.close()
                logger.info("Telegram: the bot is off%s", "" if wanted is None else ", and begins anew")
            if wanted is not None:
                try:
                    self._bot = await self._make(wanted)
                except Exception as error:
                    self._wanted = None
                    logger.exception("the Telegram bot could not be made")
                    return self._report(f"the bot could not be made ({type(error).__name__})")
                self._bot.start()
                await self._outbox.register("telegram", self.deliver)

    def _read_wanted(self) -> _Wanted | None:
        settings = self._config().channels.telegram
        if not settings.enabled:
            self._problem = None
            return None
        token = self._secrets().get(TOKEN, "").strip()
        if not SHAPE.fullmatch(token):
            self._report(BAD_TOKEN if token else NO_TOKEN)
            return None
        return _Wanted(token, settings.api_url)

    async def _make(self, wanted: _Wanted) -> RunningBot:
        # The library takes a fifth of a second and 20 MB, which only those pay who use it.
        await import_in_thread(_load)
        from starpod.channels.telegram.poller import RunningBot

        # What was wrong before was wrong with other settings.
        self._problem, self._is_reached = None, False
        return RunningBot(
            token=wanted.token,
            api_url=wanted.api_url,
            agent=self._agent,
            auth=self._auth,
            database=self._database,
            clock=self._clock,
            config=self._config,
            limiter=self._limiter,
            report=self._report,
        )

    def _report(self, problem: str | None) -> None:
        """Say a problem once when it comes, and once when it is over; keep it for whoever asks."""
        if (problem is None) != self._is_reached:
            self._is_reached = problem is None
            if self._is_reached:
                self._tasks.spawn(self._outbox.hurry("telegram"), name="hurry")
        known = self._problem[0] if self._problem is not None else None
        if problem == known:
            return
        if problem is None:
            self._problem = None
            logger.info("Telegram: works again")
        elif known is None:
            self._problem = problem, format_time(self._clock.now())
            logger.warning("Telegram: %s", problem)
        else:
            # The same trouble with another face (a connection refused, then one that stalls) is not told anew.
            self._problem = problem, self._problem[1] if self._problem is not None else ""
            logger.debug("Telegram: %s", problem)


def _load() -> None:
    import starpod.channels.telegram.poller  # noqa: F401

    tls_context()
