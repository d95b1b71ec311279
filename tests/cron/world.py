"""Schedulers on a real database and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starpod.config.schema import Config
from starpod.cron.scheduler import Scheduler
from starpod.cron.service import CronJobs, NewJob
from starpod.cron.types import Claim, CronComplete, Interval, Job, Outcome
from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.events import EventBus
from starpod.sessions.types import Viewer
from tests.fakes import FakeClock

ADMIN = Viewer("boss", True)
START = datetime(2026, 3, 20, 12, 0, 0, tzinfo=UTC)


class World:
    """A database with jobs, a clock that stands still, and as many schedulers as a test wants. `ran` has (name, due, attempt)."""

    def __init__(self, folder: Path, slots: int = 10) -> None:
        self.path = folder / "core.db"
        self.database = Database(self.path)
        migrate(self.database)
        self.database.run_here(
            lambda connection: [
                connection.execute_sql(
                    "INSERT INTO users (id, role, created_at, updated_at) VALUES (?, ?, '', '')", (name, role)
                )
                for name, role in (("boss", "admin"), ("ann", "user"), ("bob", "user"))
            ]
        )
        self.clock = FakeClock(START)
        self.config = Config.model_validate({"cron": {"max_concurrent_runs": slots}})
        self.events = EventBus()
        self.heard: list[CronComplete] = []
        self.events.subscribe(CronComplete, self.heard.append)
        self.jobs = CronJobs(self.database, self.clock, lambda: self.config, lambda: "UTC")
        self.ran: list[tuple[str, int, int]] = []
        self.outcome: Callable[[Claim], Outcome] = lambda claim: Outcome(f"did {claim.job.name}", "s1", cost_usd=0.5)
        self.gate: asyncio.Event | None = None

    def scheduler(self, database: Database | None = None) -> Scheduler:
        return Scheduler(
            database or self.database, self.clock, lambda: self.config, self.jobs, self.events, self._run,
            lease_s=20.0, overtime_s=0.0,
        )  # fmt: skip

    async def _run(self, claim: Claim) -> Outcome:
        self.ran.append((claim.job.name, claim.due_at - int(START.timestamp()), claim.attempt))
        if self.gate is not None:
            await self.gate.wait()
        return self.outcome(claim)

    async def job(self, name: str, **fields: Any) -> Job:
        fields.setdefault("schedule", Interval(60_000))
        return await self.jobs.create(ADMIN, NewJob(name, fields.pop("prompt", "do it"), **fields))

    async def step(self, scheduler: Scheduler, seconds: float) -> None:
        self.clock.advance(seconds)
        await scheduler.tick()
        if self.gate is None:
            await scheduler.idle()

    async def status(self, job: Job) -> list[str]:
        return [run.status for run in await self.jobs.runs(ADMIN, job.id)]
