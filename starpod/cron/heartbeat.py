"""Keeps the heartbeat's job in line with HEARTBEAT.md: there is one while the file asks for something, every so many minutes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from starpod.config.schema import Config
from starpod.cron.prompts import read_prompt
from starpod.cron.service import CronJobs, NewJob
from starpod.cron.types import HEARTBEAT, Interval
from starpod.errors import StarpodError
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

PROMPT = "Do what HEARTBEAT.md says."


class Heartbeat:
    """`settle` after every change of the file or of the interval; `note` does so in the background when a written file is this one."""

    def __init__(self, jobs: CronJobs, file: Path, config: Callable[[], Config], tasks: TaskSet) -> None:
        self.file = file
        self._jobs = jobs
        self._config = config
        self._tasks = tasks
        self._settling = asyncio.Lock()

    def note(self, path: Path) -> None:
        """A memory file was written."""
        if path.name == self.file.name:
            self.changed()

    def changed(self) -> None:
        """`settle` in the background; what hinders it is logged, and the next change or start tries again."""
        self._tasks.spawn(self._settle_quietly(), name="heartbeat")

    async def settle(self) -> None:
        """Make, change or remove the job. Unavailable while the database is."""
        async with self._settling:
            asks = bool(await asyncio.to_thread(read_prompt, self.file))
            schedule = Interval(self._config().cron.heartbeat_interval_minutes * 60_000)
            job = await self._jobs.find_heartbeat()
            if job is None and asks:
                await self._jobs.make(None, NewJob(HEARTBEAT, PROMPT, schedule, session_mode="main"))
            elif job is not None and not asks:
                await self._jobs.drop(job.id)
            elif job is not None and job.schedule != schedule:
                await self._jobs.change(job, {"schedule": schedule})

    async def _settle_quietly(self) -> None:
        try:
            await self.settle()
        except StarpodError as error:
            logger.warning("the heartbeat's job could not be brought in line with %s: %s", self.file.name, error)
