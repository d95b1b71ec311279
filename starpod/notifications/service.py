"""The bell: what each person was told, also while none of their sockets was open."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable

from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import StarpodError
from starpod.events import ConfigRejected, EventBus
from starpod.notifications import store
from starpod.notifications.types import News, Notification
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet
from starpod.usage.budget_types import BudgetNotice

logger = logging.getLogger(__name__)

LONGEST_TEXT = 500


class Notifications:
    """Listens to what people must know and keeps it. Results of jobs are stored by the scheduler, together with the end of the run."""

    def __init__(self, database: Database, clock: Clock, events: EventBus, tasks: TaskSet) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self.on_kept: Callable[[], None] = lambda: None
        """Called after something was kept that may have to go outside, too."""
        self._unsubscribe = (
            events.subscribe(BudgetNotice, self._on_budget),
            events.subscribe(ConfigRejected, self._on_config),
        )

    def close(self) -> None:
        """Listen no more."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    async def page(self, viewer: Viewer, *, limit: int, before: int | None) -> tuple[list[Notification], int]:
        """The viewer's own notifications, the newest first, and how many of all are unread."""
        own = await self._database.read(store.list_for, viewer.user_id, limit, before)
        return own, await self._database.read(store.count_unread, viewer.user_id)

    async def mark_read(self, viewer: Viewer, ids: list[int] | None) -> int:
        """Mark these of the viewer's own, or all for None, as seen; returns how many are still unread."""
        await self._database.run(store.mark_read, viewer.user_id, ids)
        return await self._database.read(store.count_unread, viewer.user_id)

    def _on_budget(self, notice: BudgetNotice) -> None:
        limit = notice.limit
        source = f"budget-{limit.scope}-{limit.subject}-{limit.period}-{limit.starts_at.isoformat()}-{notice.level}"
        title = f"{notice.level} % of a budget is used"
        news = News("budget_notice", title, notice.text[:LONGEST_TEXT], notice.level < 100, source)
        self._tasks.spawn(self._keep(news, notice.user_id), name="budget-notice")

    def _on_config(self, event: ConfigRejected) -> None:
        title = f"{event.file or 'A settings file'} cannot be used"
        news = News("config_rejected", title, event.reason[:LONGEST_TEXT], False, f"config-{uuid.uuid4()}")
        self._tasks.spawn(self._keep(news, None), name="config-notice")

    async def tell_of_channel(self, channel: str, user_id: str, is_failing: bool, reason: str) -> None:
        """A channel to the outside fails or works again: for one person, who is told, or (user_id '') for all, so admins are."""
        name = channel.capitalize()
        title = f"{name} messages do not arrive" if is_failing else f"{name} messages arrive again"
        detail = f": {reason}" if reason else ""
        (logger.warning if is_failing else logger.info)("%s%s%s", title, f" at {user_id}" if user_id else "", detail)
        text = f"{reason}. They are kept, and sent when it works again." if is_failing and not user_id else reason
        news = News("delivery", title, text[:LONGEST_TEXT], not is_failing, f"channel-{uuid.uuid4()}")
        await self._database.run(store.add_for, news, user_id or None, now=self._clock.now())

    async def _keep(self, news: News, user_id: str | None) -> None:
        try:
            await self._database.run(store.add_for_both, news, user_id, now=self._clock.now())
            self.on_kept()
        except StarpodError as error:
            logger.warning("a notice could not be kept: %s", error)
