"""The rules of jobs: who may see and change them, what they may hold. Running them is the scheduler's work."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.cron import schedules, store
from starpod.cron.claim_store import BACKOFF_S
from starpod.cron.types import HEARTBEAT, CatchUp, Interval, Job, JobRun, OneShot, Overlap, Schedule, SessionMode
from starpod.db.database import Database
from starpod.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from starpod.sessions.types import Viewer

LONGEST_NAME = 100
LONGEST_PROMPT = 100_000
LONGEST_TIMEOUT_S = 7 * 86_400
MOST_RETRIES = 100
MOST_JOBS_OF_A_USER = 10_000
PREVIEWED = 5
RETIMED_AT_ONCE = 100
OWN_JOB = "The heartbeat follows HEARTBEAT.md and its interval in the settings; change those, or pause it"


@dataclass(frozen=True, slots=True)
class NewJob:
    """What a job is made from; None takes the configured default."""

    name: str
    prompt: str
    schedule: Schedule
    delete_after_run: bool = False
    max_retries: int | None = None
    timeout_secs: int | None = None
    session_mode: SessionMode = "isolated"
    timezone: str | None = None
    overlap: Overlap = "skip"
    catch_up: CatchUp = "last"
    model: str | None = None
    enabled: bool = True


class CronJobs:
    """The jobs of one gateway. A scheduler hears of each change by `on_change` and starts runs by `start_run`."""

    def __init__(self, database: Database, clock: Clock, config: Callable[[], Config], zone: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._config = config
        self._zone = zone
        self._timed_for: str | None = None
        self.on_change: Callable[[], None]
        self.start_run: Callable[[Job], Awaitable[str]]
        self.detach()

    def detach(self) -> None:
        """Go on without a scheduler: jobs can be changed, none can be started."""

        async def refuse(job: Job) -> str:
            raise Unavailable("The scheduler is not running now; try again in a moment")

        self.on_change = lambda: None
        self.start_run = refuse

    @property
    def zone(self) -> str:
        """The IANA name of the zone of jobs that name none."""
        return self._zone()

    async def list_jobs(self, viewer: Viewer) -> list[Job]:
        """An admin sees all jobs, everybody else their own; by name."""
        return await self._database.read(store.list_jobs, _owner_filter(viewer))

    async def get(self, viewer: Viewer, job_id: str) -> Job:
        """One job. NotFound when there is none that the viewer may see."""
        job = await self._database.read(store.find_job, job_id)
        if job is None or not _may_see(viewer, job):
            raise NotFound(f"There is no job {job_id[:40]!r}")
        return job

    async def find(self, viewer: Viewer, name_or_id: str) -> Job:
        """One job by its name, its id or the beginning of its id. NotFound, or Conflict when several fit."""
        fitting = [
            job
            for job in await self.list_jobs(viewer)
            if job.name == name_or_id or (len(name_or_id) >= 4 and job.id.startswith(name_or_id))
        ]
        own = [job for job in fitting if job.user_id == viewer.user_id] or fitting
        if not own:
            raise NotFound(f"There is no job {name_or_id[:100]!r}")
        if len(own) > 1:
            raise Conflict(f"Several jobs are called {name_or_id!r}; name one by its id")
        return own[0]

    async def create(self, viewer: Viewer, new: NewJob) -> Job:
        """Make a job of the viewer's. InvalidInput with `fields`, Conflict when there is one of that name."""
        if new.name.strip().startswith("__"):
            raise InvalidInput(
                "The name is reserved", fields={"name": "names that begin with __ are the gateway's own"}
            )
        return await self.make(viewer.user_id, new)

    async def make(self, owner: str | None, new: NewJob) -> Job:
        """Make a job of `owner`, or the agent's own for None."""
        now = int(self._clock.now().timestamp())
        defaults = self._config().cron
        job = Job(
            id=str(uuid.uuid4()),
            user_id=owner,
            name=new.name.strip(),
            prompt=new.prompt,
            schedule=new.schedule,
            timezone=new.timezone or None,
            enabled=new.enabled,
            delete_after_run=new.delete_after_run,
            created_at=now,
            last_run_at=None,
            next_run_at=None,
            retry_count=0,
            max_retries=defaults.default_max_retries if new.max_retries is None else new.max_retries,
            last_error=None,
            retry_at=None,
            timeout_secs=defaults.default_timeout_secs if new.timeout_secs is None else new.timeout_secs,
            session_mode=new.session_mode,
            overlap=new.overlap,
            catch_up=new.catch_up,
            model=new.model or None,
        )
        self._check_model(job.model)
        job = await asyncio.to_thread(self._checked, job, now)
        await self._database.run(store.insert_job, job, most=MOST_JOBS_OF_A_USER)
        self.on_change()
        return job

    async def update(self, viewer: Viewer, job_id: str, changes: dict[str, Any]) -> Job:
        """Change fields of a job (those of `NewJob`); its next time is computed anew when they bear on it.

        NotFound, Forbidden for somebody else's job, InvalidInput with `fields`, Conflict when the name is taken.
        """
        job = await self._changeable(viewer, job_id, "update")
        if job.name == HEARTBEAT and changes.keys() - {"enabled"}:
            raise InvalidInput(OWN_JOB)
        if "name" in changes and changes["name"].strip().startswith("__"):
            raise InvalidInput(
                "The name is reserved", fields={"name": "names that begin with __ are the gateway's own"}
            )
        return await self.change(job, changes)

    async def change(self, job: Job, changes: dict[str, Any]) -> Job:
        """`update` without asking who."""
        now = int(self._clock.now().timestamp())
        if "name" in changes:
            changes = changes | {"name": changes["name"].strip()}
        changed = replace(job, **changes)
        if changed.model != job.model:
            self._check_model(changed.model)
        timing = ("schedule", "timezone", "enabled")
        if any(getattr(changed, field) != getattr(job, field) for field in timing):
            changed = await asyncio.to_thread(self._checked, replace(changed, next_run_at=None), now)
            changes = changes | {"next_run_at": changed.next_run_at, "retry_at": None, "retry_count": 0}
        else:
            _check_texts(changed)
        stored = await self._database.run(_change, job.id, changes)
        if stored is None:
            raise NotFound(f"The job {job.name!r} was deleted meanwhile")
        self.on_change()
        return stored

    async def delete(self, viewer: Viewer, job_id: str) -> None:
        """Remove a job and its history. NotFound, Forbidden for somebody else's."""
        job = await self._changeable(viewer, job_id, "delete")
        if job.name == HEARTBEAT:
            raise InvalidInput(OWN_JOB)
        await self.drop(job.id)

    async def drop(self, job_id: str) -> None:
        """`delete` without asking who."""
        await self._database.run(store.delete_job, job_id)
        self.on_change()

    async def run_now(self, viewer: Viewer, job_id: str) -> str:
        """Start a job at once, whatever its schedule says, and return the id of the run.

        NotFound, Forbidden for somebody else's, Conflict when it is running, Unavailable without a scheduler.
        """
        return await self.start_run(await self._changeable(viewer, job_id, "run"))

    async def find_heartbeat(self) -> Job | None:
        """The job that reads HEARTBEAT.md, if there is one."""
        return await self._database.read(store.find_named, None, HEARTBEAT)

    async def retime(self, *, whole: bool = False) -> int:
        """Compute the next times of cron jobs without a zone of their own anew, when the zone is another than before; for `whole`, and the
        first time, those of all jobs that come again: the clock may have been set back. Returns how many have another time now.

        What is due already stays due, and a due time that was run is not run again.
        """
        self.on_change()
        moved, after, zone = 0, "", self.zone
        whole = whole or self._timed_for is None
        if zone == self._timed_for and not whole:
            return 0
        self._timed_for = zone
        while True:
            now = int(self._clock.now().timestamp())
            last, count = await self._database.run(_retime, after=after, now=now, zone=zone, whole=whole)
            moved += count
            if last is None:
                break
            after = last
        if moved:
            self.on_change()
        return moved

    async def runs(self, viewer: Viewer, job_id: str, *, limit: int = 50) -> list[JobRun]:
        """Runs of a job, the newest first. NotFound when the viewer may not see the job."""
        await self.get(viewer, job_id)
        return await self._database.read(store.list_runs, job_id, limit)

    async def preview(self, schedule: Schedule, timezone: str | None, *, count: int = PREVIEWED) -> list[int]:
        """The next due seconds. InvalidInput when the schedule cannot be read."""
        zone, now = timezone or self.zone, int(self._clock.now().timestamp())
        await asyncio.to_thread(schedules.check, schedule, zone, now=now)
        return await asyncio.to_thread(schedules.upcoming, schedule, zone, now=now, count=count)

    async def next_runs(self, jobs: list[Job]) -> list[list[int]]:
        """For each job its next five due seconds; none for one that is off."""
        return await asyncio.to_thread(lambda: [_next_runs(job, self.zone) for job in jobs])

    async def _changeable(self, viewer: Viewer, job_id: str, verb: str) -> Job:
        job = await self._database.read(store.find_job, job_id)
        if job is None:
            raise NotFound(f"There is no job {job_id[:40]!r}")
        if not _may_see(viewer, job):
            raise Forbidden(f"Cannot {verb} another user's job")
        return job

    def _check_model(self, model: str | None) -> None:
        models = self._config().models
        if model is not None and model not in models:
            raise InvalidInput(
                f"model {model[:100]} is not in the allowed list", fields={"model": f"use one of {', '.join(models)}"}
            )

    def _checked(self, job: Job, now: int) -> Job:
        """The job with its next time. InvalidInput for what it may not hold."""
        _check_texts(job)
        schedules.find_zone(job.timezone or self.zone)
        if not job.enabled:
            zone = job.timezone or self.zone
            if not isinstance(job.schedule, OneShot):
                schedules.check(job.schedule, zone, now=now)
            return job
        zone = job.timezone or self.zone
        schedules.check(job.schedule, zone, now=now)
        anchor = now if job.last_run_at is None or not isinstance(job.schedule, Interval) else job.last_run_at
        return replace(job, next_run_at=schedules.next_due(job.schedule, zone, after=now, anchor=anchor))


def _retime(connection: Any, *, after: str, now: int, zone: str, whole: bool) -> tuple[str | None, int]:
    """One batch of jobs in the order of their ids: the last id, None when there are no more, and how many have another time now."""
    if whole and not after:
        store.hasten_retries(connection, now + BACKOFF_S[-1])
    jobs = store.retimeable_jobs(connection, after=after, now=now, limit=RETIMED_AT_ONCE, whole=whole)
    count = 0
    for job in jobs:
        due = schedules.next_due(job.schedule, job.timezone or zone, after=now, anchor=job.next_run_at or now)
        if due is not None and due != job.next_run_at:
            store.replace_job(connection, replace(job, next_run_at=due))
            count += 1
    return (jobs[-1].id if jobs else None), count


def _change(connection: Any, job_id: str, changes: dict[str, Any]) -> Job | None:
    """Change only these fields: the scheduler may have changed others meanwhile."""
    job = store.find_job(connection, job_id)
    if job is None:
        return None
    changed = replace(job, **changes)
    store.replace_job(connection, changed)
    return changed


def _check_texts(job: Job) -> None:
    fields = {}
    if not 0 < len(job.name) <= LONGEST_NAME or not job.name.isprintable():
        fields["name"] = f"use 1 to {LONGEST_NAME} printable characters"
    if not len(job.prompt.strip()) > 0 or len(job.prompt) > LONGEST_PROMPT:
        fields["prompt"] = f"say what is to be done, in at most {LONGEST_PROMPT} characters"
    if not 0 <= job.max_retries <= MOST_RETRIES:
        fields["max_retries"] = f"must be from 0 to {MOST_RETRIES}"
    if not 1 <= job.timeout_secs <= LONGEST_TIMEOUT_S:
        fields["timeout_secs"] = f"must be from 1 to {LONGEST_TIMEOUT_S}"
    if fields:
        raise InvalidInput("; ".join(f"{name}: {reason}" for name, reason in fields.items()), fields=fields)


def _may_see(viewer: Viewer, job: Job) -> bool:
    return viewer.is_admin or viewer.user_id is None or job.user_id == viewer.user_id


def _owner_filter(viewer: Viewer) -> str | None:
    return None if viewer.is_admin or viewer.user_id is None else viewer.user_id


def _next_runs(job: Job, zone: str) -> list[int]:
    if not job.enabled or job.next_run_at is None:
        return []
    return [job.next_run_at, *_behind(job.schedule, job.timezone or zone, job.next_run_at)]


@lru_cache(maxsize=20_000)
def _behind(schedule: Schedule, zone: str, first: int) -> tuple[int, ...]:
    if isinstance(schedule, OneShot):
        return ()
    try:
        return tuple(schedules.upcoming(schedule, zone, now=first, count=PREVIEWED - 1))
    except InvalidInput:
        return ()
