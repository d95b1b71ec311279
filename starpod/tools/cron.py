"""CronAdd, CronList, CronUpdate, CronRemove, CronRun, CronRuns for everybody's own jobs; HeartbeatWake for admins' turns."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from starpod.cron.service import CronJobs, NewJob
from starpod.cron.types import Cron, Interval, Job, OneShot, Schedule, SessionMode
from starpod.errors import StarpodError
from starpod.sessions.types import AGENT_USER_IDS, Viewer
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec


class OneShotArguments(Arguments):
    kind: Literal["one_shot"]
    at: str = Field(description="2026-03-20T16:30:00 in the configured time zone, or with an offset such as +01:00")


class IntervalArguments(Arguments):
    kind: Literal["interval"]
    every_ms: int = Field(description="Milliseconds between two runs, at least 1000")


class CronArguments(Arguments):
    kind: Literal["cron"]
    expr: str = Field(description="minute hour day month weekday, e.g. 0 9 * * mon-fri; or @daily, @hourly, @weekly")


ScheduleArguments = Annotated[OneShotArguments | IntervalArguments | CronArguments, Field(discriminator="kind")]


class NothingArguments(Arguments):
    pass


class AddArguments(Arguments):
    name: str = Field(description="Short name of the job")
    prompt: str = Field(description="What to do each time, as a message to yourself with all that you need to know")
    schedule: ScheduleArguments
    delete_after_run: bool = Field(default=False, description="Remove the job once it has run")
    max_retries: int | None = Field(default=None, description="Further attempts after a failed run")
    timeout_secs: int | None = Field(default=None, description="Longest time for one run, in seconds")
    session_mode: SessionMode = Field(default="isolated", description="isolated: a conversation of its own each time")


class NameArguments(Arguments):
    name: str = Field(description="Name of the job, or its id")


class RunsArguments(NameArguments):
    limit: int = Field(default=10, ge=1, le=100, description="How many runs, the newest first")


class UpdateArguments(NameArguments):
    prompt: str | None = None
    schedule: ScheduleArguments | None = None
    enabled: bool | None = Field(default=None, description="false pauses the job")
    max_retries: int | None = None
    timeout_secs: int | None = None
    session_mode: SessionMode | None = None


class WakeArguments(Arguments):
    mode: Literal["now", "next"] = Field(default="next", description="now: run the heartbeat at once")
    message: str | None = Field(default=None, description="Not stored: write what is to be done into HEARTBEAT.md")


def cron_tools(jobs: CronJobs, *, is_admin: bool) -> tuple[ToolSpec, ...]:
    """The tools that work on `jobs`, each on the jobs of the turn's own user."""
    tools = _Tools(jobs)
    mine = (
        ToolSpec("CronAdd", "Schedule a job: a prompt that you get at certain times.", AddArguments, tools.add, True),
        ToolSpec("CronList", "The jobs that are scheduled, with their next runs.", NothingArguments, tools.list_),
        ToolSpec("CronRemove", "Remove a job and its history.", NameArguments, tools.remove, True),
        ToolSpec("CronRuns", "How the last runs of a job went.", RunsArguments, tools.runs),
        ToolSpec("CronRun", "Run a job now, in the background.", NameArguments, tools.run, True),
        ToolSpec("CronUpdate", "Change, pause or resume a job.", UpdateArguments, tools.update, True),
    )
    wake = ToolSpec("HeartbeatWake", "When the heartbeat runs next, or run it now.", WakeArguments, tools.wake, True)
    return (*mine, wake) if is_admin else mine


class _Tools:
    def __init__(self, jobs: CronJobs) -> None:
        self._jobs = jobs

    async def add(self, context: ToolContext, arguments: AddArguments) -> str:
        new = NewJob(
            arguments.name,
            arguments.prompt,
            to_schedule(arguments.schedule),
            delete_after_run=arguments.delete_after_run,
            max_retries=arguments.max_retries,
            timeout_secs=arguments.timeout_secs,
            session_mode=arguments.session_mode,
        )
        with _told():
            job = await self._jobs.create(Viewer(_owner(context)), new)
            return f"Scheduled job {job.name!r} (id: {job.id[:8]}). Next run: {self._time(job.next_run_at)}"

    async def list_(self, context: ToolContext, arguments: NothingArguments) -> str:
        jobs = await self._jobs.list_jobs(_viewer(context))
        return json.dumps([self._described(job) for job in jobs], ensure_ascii=False)

    async def remove(self, context: ToolContext, arguments: NameArguments) -> str:
        with _told():
            job = await self._find(context, arguments.name)
            await self._jobs.delete(_viewer(context), job.id)
            return f"Removed job {job.name!r}"

    async def runs(self, context: ToolContext, arguments: RunsArguments) -> str:
        with _told():
            job = await self._find(context, arguments.name)
            runs = await self._jobs.runs(_viewer(context), job.id, limit=arguments.limit)
        return json.dumps(
            [
                {
                    "started_at": self._time(run.started_at),
                    "completed_at": self._time(run.completed_at),
                    "status": run.status,
                    "summary": run.result_summary,
                    "error": run.error,
                    "session_id": run.session_id,
                }
                for run in runs
            ],
            ensure_ascii=False,
        )

    async def run(self, context: ToolContext, arguments: NameArguments) -> str:
        with _told():
            job = await self._find(context, arguments.name)
            await self._jobs.run_now(_viewer(context), job.id)
            return f"Job {job.name!r} runs now in the background; its result comes as a notice of its own."

    async def update(self, context: ToolContext, arguments: UpdateArguments) -> str:
        changes: dict[str, Any] = arguments.model_dump(exclude={"name", "schedule"}, exclude_none=True)
        if arguments.schedule is not None:
            changes["schedule"] = to_schedule(arguments.schedule)
        if not changes:
            raise ToolFailure("CronUpdate was not run: say what to change")
        with _told():
            job = await self._find(context, arguments.name)
            job = await self._jobs.update(_viewer(context), job.id, changes)
            return f"Changed job {job.name!r}. Next run: {self._time(job.next_run_at) or 'none, it is paused'}"

    async def wake(self, context: ToolContext, arguments: WakeArguments) -> str:
        job = await self._jobs.find_heartbeat()
        if job is None:
            raise ToolFailure("There is no heartbeat: HEARTBEAT.md is empty. Write into it what is to be done.")
        if arguments.mode == "next":
            return f"The heartbeat runs next at {self._time(job.next_run_at)}"
        with _told():
            await self._jobs.run_now(_viewer(context), job.id)
        return "The heartbeat runs now"

    async def _find(self, context: ToolContext, name: str) -> Job:
        return await self._jobs.find(_viewer(context), name)

    def _described(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id[:8],
            "name": job.name,
            "prompt": job.prompt,
            "schedule": schedule_json(job.schedule),
            "enabled": job.enabled,
            "next_run_at": self._time(job.next_run_at),
            "last_run_at": self._time(job.last_run_at),
            "last_error": job.last_error,
        }

    def _time(self, moment: int | None) -> str | None:
        return datetime.fromtimestamp(moment, ZoneInfo(self._jobs.zone)).isoformat() if moment is not None else None


def to_schedule(arguments: OneShotArguments | IntervalArguments | CronArguments) -> Schedule:
    """The schedule that arguments or a request body name."""
    match arguments:
        case OneShotArguments():
            return OneShot(arguments.at)
        case IntervalArguments():
            return Interval(arguments.every_ms)
        case CronArguments():
            return Cron(arguments.expr)


def schedule_json(schedule: Schedule) -> dict[str, Any]:
    """A schedule as clients and models see it."""
    kind = {OneShot: "one_shot", Interval: "interval", Cron: "cron"}[type(schedule)]
    return {"kind": kind} | asdict(schedule)


def _owner(context: ToolContext) -> str | None:
    return None if context.user_id in AGENT_USER_IDS else context.user_id


def _viewer(context: ToolContext) -> Viewer:
    """Whose jobs a turn may touch: the agent's own turns those without an owner, an admin's turn all."""
    return Viewer(_owner(context) or "", context.role == "admin")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except StarpodError as error:
        raise ToolFailure(str(error)) from error
