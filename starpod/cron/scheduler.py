"""Runs jobs when they are due. It sleeps until the next due time or a change; what it runs, it has claimed in the database first."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable

from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.cron import claim_store, store
from starpod.cron.service import CronJobs
from starpod.cron.types import Claim, Job, Outcome
from starpod.db.database import Database
from starpod.errors import StarpodError, Unavailable
from starpod.events import EventBus
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

LEASE_S = 20.0
RENEW_EVERY_S = 5.0
LONGEST_SLEEP_S = 30.0
"""The clock of the machine may be set, and another process may change jobs."""
AFTER_FAILURE_S = 5.0
NOTE_AGAIN_S = 1.0
CLOCK_JUMP_S = 2.0
OVERTIME_S = 30.0
"""Who carries out a run ends it when its time is over; one that has not by then is cut off."""

RunJob = Callable[[Claim], Awaitable[Outcome]]


class Scheduler:
    """One scheduler of a database; there may be several. `run_job` carries out a claim and never raises for what the agent did wrong."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        config: Callable[[], Config],
        jobs: CronJobs,
        events: EventBus,
        run_job: RunJob,
        *,
        lease_s: float = LEASE_S,
        overtime_s: float = OVERTIME_S,
    ) -> None:
        self.id = str(uuid.uuid4())
        self._database = database
        self._clock = clock
        self._config = config
        self._jobs = jobs
        self._events = events
        self._run_job = run_job
        self._lease_s = lease_s
        self._overtime_s = overtime_s
        self._tasks = TaskSet("cron")
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._is_closing = False
        self._seen: tuple[float, float] | None = None
        self._distrusts_until = float("-inf")
        self._was_set_back = False

    def start(self) -> None:
        """Begin to run what is due."""
        self._jobs.on_change = self._changed.set
        self._jobs.start_run = self.run_now
        self._tasks.spawn(self._loop(), name="loop")
        self._tasks.spawn(self._keep_leases(), name="leases")

    async def close(self) -> None:
        """Stop. Runs under way are recorded as interrupted, to be tried again by the next start."""
        self._is_closing = True
        self._jobs.detach()
        await self._tasks.close()

    @property
    def running_count(self) -> int:
        """Runs under way here."""
        return len(self._running)

    async def tick(self) -> float | None:
        """Claim and start what is due now. Returns when to look again (seconds since 1970), None when nothing is due."""
        slots = self._config().cron.max_concurrent_runs
        self._note_clock()
        if self._was_set_back:
            # What was timed by a clock that ran ahead would wait until it is as late again.
            await self._jobs.retime(whole=True)
            self._was_set_back = False
        claimed = await self._database.run(
            claim_store.claim_due,
            now=self._now(),
            scheduler=self.id,
            lease_s=self._lease_s,
            slots=slots,
            zone=self._jobs.zone,
            alive=tuple(self._running),
            may_take_over=self._clock.monotonic() >= self._distrusts_until,
        )
        for claim in claimed.claims:
            self._spawn(claim)
        for event in claimed.given_up:
            self._events.publish(event)
        return await self._database.read(claim_store.look_ahead, slots)

    async def run_now(self, job: Job) -> str:
        """Start a job at once and return the id of the run. NotFound, Conflict when it is running."""
        claim = await self._database.run(
            claim_store.claim_now, job.id, now=self._now(), scheduler=self.id, lease_s=self._lease_s
        )
        self._spawn(claim)
        return claim.run_id

    async def idle(self) -> None:
        """Wait until no run is under way here."""
        while self._running:
            await asyncio.wait(list(self._running.values()))

    async def _loop(self) -> None:
        while True:
            self._changed.clear()
            try:
                wake = await self.tick()
            except Exception as error:
                _report(error)
                wake = self._now() + AFTER_FAILURE_S
            wait_s = LONGEST_SLEEP_S if wake is None else min(max(wake - self._now(), 0.0), LONGEST_SLEEP_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()

    def _spawn(self, claim: Claim) -> None:
        task = self._tasks.spawn(self._carry_out(claim), name=f"run-{claim.job.name}")
        self._running[claim.run_id] = task
        task.add_done_callback(lambda _: self._running.pop(claim.run_id, None) and None)

    async def _carry_out(self, claim: Claim) -> None:
        began = self._clock.monotonic()
        try:
            outcome = await self._outcome(claim)
        except asyncio.CancelledError:
            if self._is_closing:
                await asyncio.shield(self._interrupt(claim))
            raise
        ended = await self._finish(claim, outcome, round((self._clock.monotonic() - began) * 1000))
        self._running.pop(claim.run_id, None)
        self._changed.set()
        if not ended:
            logger.warning(
                "the run of job %r ended when it was no longer ours; its result is not recorded", claim.job.name
            )
        elif not outcome.is_silent:
            self._events.publish(claim_store.complete(claim.job, claim.run_id, outcome))

    async def _outcome(self, claim: Claim) -> Outcome:
        job = claim.job
        try:
            async with asyncio.timeout(job.timeout_secs + self._overtime_s):
                return await self._run_job(claim)
        except TimeoutError:
            return Outcome("", None, f"Timed out after {job.timeout_secs} s")
        except StarpodError as error:
            return Outcome("", None, str(error))
        except Exception:
            logger.exception("the job %r failed", job.name)
            return Outcome("", None, "internal error; the log says more")

    async def _finish(self, claim: Claim, outcome: Outcome, duration_ms: int) -> bool:
        """Record the end of a run, however long the database is away: without the record the job would be done again."""
        while True:
            try:
                now = int(self._now())
                return await self._database.run(claim_store.finish, claim, outcome, now=now, duration_ms=duration_ms)
            except Unavailable as error:
                logger.warning("job %r has ended, but that cannot be recorded yet: %s", claim.job.name, error)
                await asyncio.sleep(NOTE_AGAIN_S)

    async def _interrupt(self, claim: Claim) -> None:
        await self._database.run(claim_store.interrupt, claim, now=int(self._now()))

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(min(RENEW_EVERY_S, self._lease_s / 4))
            held = tuple(self._running)
            if not held:
                continue
            try:
                mine = await self._database.run(store.renew, held, self._now() + self._lease_s)
            except Exception as error:
                _report(error)
                continue
            for run_id in self._running.keys() & set(held) - mine:
                logger.warning("a run is stopped here: its job was deleted, or another process took it over")
                self._running[run_id].cancel()

    def _note_clock(self) -> None:
        """Notice that the clock was set, or that the machine slept: leases do not tell who is alive for a lease's time after that."""
        now, monotonic = self._now(), self._clock.monotonic()
        seen, self._seen = self._seen, (now, monotonic)
        jump_s = 0.0 if seen is None else (now - seen[0]) - (monotonic - seen[1])
        if abs(jump_s) > CLOCK_JUMP_S:
            self._distrusts_until = monotonic + self._lease_s
            self._was_set_back |= jump_s < 0

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _report(error: Exception) -> None:
    if isinstance(error, StarpodError):
        logger.warning("the scheduler could not look for due jobs: %s", error)
    else:
        logger.error("the scheduler failed; it goes on", exc_info=error)
