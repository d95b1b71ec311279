"""Cost reports: which period, whose usage, by whose days."""

from __future__ import annotations

import logging
from collections.abc import Callable

from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.usage import overview_store, store
from starpod.usage.days import find_zone
from starpod.usage.types import DEFAULT_PERIOD, PERIODS, CostOverview

logger = logging.getLogger(__name__)


class CostReports:
    """Answers what was spent."""

    def __init__(self, database: Database, clock: Clock, config: Callable[[], Config]) -> None:
        self._database = database
        self._clock = clock
        self._config = config

    async def check(self) -> None:
        """See that the sums stand for the rows; mend them where something else has written rows."""
        if not await self._database.read(store.is_rolled_up):
            logger.info("the sums of usage are being brought up to date")
            await self._database.run(store.catch_up)

    async def overview(self, period: str, timezone: str | None, *, user_id: str | None) -> CostOverview:
        """The costs of a user, or (None) of everybody. An unknown period counts as 30d. Raises InvalidInput for a time zone."""
        period = period if period in PERIODS else DEFAULT_PERIOD
        zone = find_zone(timezone or self._config().timezone)
        return await self._database.read(overview_store.overview, period, zone, user_id, self._clock.now())
