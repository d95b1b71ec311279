"""Budgets: every model call sets an estimate aside before it starts and gives it back once its cost is booked.

A call starts while its limits have room for what is spent, what is set aside and its own estimate; near the end of a budget calls
therefore wait for each other, and only what is really spent refuses. The call that finds nothing set aside may always start, so that a
small budget can be used up: it is exceeded by at most that one call. What is set aside lives in memory, so a crash gives it back.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from starpod.auth.types import Actor
from starpod.clock import Clock
from starpod.config.schema import BudgetConfig, Config
from starpod.db.database import Database
from starpod.errors import StarpodError
from starpod.events import EventBus
from starpod.tasks import TaskSet
from starpod.usage import budget_store
from starpod.usage.budget_types import (
    LEVELS,
    BudgetExceeded,
    BudgetNotice,
    Hold,
    Limit,
    Period,
    Scope,
    Standing,
    UserBudget,
)
from starpod.usage.days import find_zone

logger = logging.getLogger(__name__)
FREE = Hold((), 0.0, is_released=True)


class Budgets:
    """One for the gateway."""

    def __init__(self, database: Database, clock: Clock, config: Callable[[], Config], events: EventBus) -> None:
        self._database = database
        self._clock = clock
        self._config = config
        self._events = events
        self._tasks = TaskSet("budgets")
        self._own: dict[str, UserBudget] | None = None
        self._reserved: defaultdict[tuple[str, str, str, datetime], float] = defaultdict(float)
        self._releases = 0
        self._released = asyncio.Event()

    async def reserve(self, user_id: str, job: str | None, usd: float) -> Hold:
        """Set `usd` aside for a call, waiting for others where the limits leave no room. Raises BudgetExceeded. `release` it always."""
        limits = await self._limits(user_id, job) if usd > 0 else ()
        if not limits:
            return FREE
        while True:
            releases = self._releases
            spent = await self._database.read(budget_store.spent, limits)
            if releases != self._releases:
                continue  # what was set aside may meanwhile be spent, and neither sum would hold it
            for limit, sum_usd in zip(limits, spent, strict=True):
                if sum_usd >= limit.usd:
                    raise BudgetExceeded(_refusal(limit, sum_usd))
            if not any(
                self._reserved[limit.key] > 0 and sum_usd + self._reserved[limit.key] + usd > limit.usd
                for limit, sum_usd in zip(limits, spent, strict=True)
            ):
                break
            self._released.clear()
            await self._released.wait()
        for limit in limits:
            self._reserved[limit.key] += usd
        return Hold(limits, usd)

    def release(self, hold: Hold) -> None:
        """Give back what was set aside, after the call's cost is booked. A second time does nothing."""
        if hold.is_released:
            return
        hold.is_released = True
        for limit in hold.limits:
            self._reserved[limit.key] -= hold.usd
            if self._reserved[limit.key] < 1e-12:
                del self._reserved[limit.key]
        self._releases += 1
        self._released.set()
        self._tasks.spawn(self._notify(hold.limits), name="budget-notices")

    async def standing(self, user_id: str) -> list[Standing]:
        """How a user stands: their own limits, and the total ones that hold them up too."""
        limits = await self._limits(user_id, None)
        spent = await self._database.read(budget_store.spent, limits)
        return [
            Standing(limit, sum_usd, self._reserved.get(limit.key, 0.0))
            for limit, sum_usd in zip(limits, spent, strict=True)
        ]

    async def user_budget(self, user_id: str) -> UserBudget:
        """A user's own limits."""
        return (await self._own_budgets()).get(user_id, UserBudget())

    async def user_budgets(self) -> dict[str, UserBudget]:
        """Users with limits of their own, by id."""
        return dict(await self._own_budgets())

    async def set_user_budget(
        self, user_id: str, budget: UserBudget, *, by: str | None = None, address: str | None = None
    ) -> None:
        """Change a user's own limits, at once."""
        await self._database.run(
            budget_store.set_user_budget, user_id, budget, now=self._clock.now(), actor=Actor(by, address)
        )
        self._own = None
        self._released.set()

    async def close(self) -> None:
        """Let notices that are under way go."""
        await self._tasks.close()

    async def _own_budgets(self) -> dict[str, UserBudget]:
        if self._own is None:
            self._own = await self._database.read(budget_store.user_budgets)
        return self._own

    async def _limits(self, user_id: str, job: str | None) -> tuple[Limit, ...]:
        own = await self._own_budgets()
        config = self._config()
        budget = config.budget
        if not own and budget == BudgetConfig():
            return ()
        mine = own.get(user_id, UserBudget())
        amounts: list[tuple[Scope, str, Period, float | None]] = [
            ("user", user_id, "day", budget.user_daily_usd if mine.daily_usd is None else mine.daily_usd),
            ("user", user_id, "month", budget.user_monthly_usd if mine.monthly_usd is None else mine.monthly_usd),
            ("total", "", "day", budget.total_daily_usd),
            ("total", "", "month", budget.total_monthly_usd),
        ]
        if job is not None:
            amounts += [("job", job, "day", budget.job_daily_usd), ("job", job, "month", budget.job_monthly_usd)]
        now, zone = self._clock.now(), find_zone(config.timezone)
        return tuple(
            Limit(scope, subject, period, usd, *bounds(period, now, zone))
            for scope, subject, period, usd in amounts
            if usd is not None
        )

    async def _notify(self, limits: tuple[Limit, ...]) -> None:
        try:
            spent = await self._database.read(budget_store.spent, limits)
            for limit, usd in zip(limits, spent, strict=True):
                level = max((each for each in LEVELS if usd * 100 >= each * limit.usd), default=0)
                if level and await self._database.run(budget_store.note, limit, level):
                    text = f"{level} % of {_name(limit)} is used: ${usd:.2f}. It resets {_when(limit)}."
                    logger.info("%s", text)
                    self._events.publish(BudgetNotice(limit, level, usd, text))
        except StarpodError as error:
            logger.warning("a budget could not be looked at: %s", error)


def bounds(period: Period, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """When the day or month of `now` began in that zone and when the next one begins, in the zone's time."""
    first = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "day":
        following = first + timedelta(days=1)
    else:
        first = first.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
    # Once there and back: a midnight that a clock change skips is the moment of that change.
    return _real(first, zone), _real(following, zone)


def _real(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(UTC).astimezone(zone)


def _name(limit: Limit) -> str:
    period = "daily" if limit.period == "day" else "monthly"
    whose = {"user": "", "job": f" of the job {limit.subject!r}", "total": " of the whole gateway"}[limit.scope]
    return f"the {period} budget{whose} (${limit.usd:.2f})"


def _when(limit: Limit) -> str:
    zone = limit.resets_at.tzinfo
    return f"on {limit.resets_at:%Y-%m-%d} at {limit.resets_at:%H:%M} ({zone})"


def _refusal(limit: Limit, spent: float) -> str:
    name = _name(limit)
    return (
        f"{name[0].upper()}{name[1:]} is used up: ${spent:.2f} spent. It resets {_when(limit)}; an admin can raise it."
    )
