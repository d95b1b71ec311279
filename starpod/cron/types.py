"""Records of the cron domain. Times of jobs and runs are whole seconds since 1970 in UTC, as clients see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SessionMode = Literal["isolated", "main"]
Overlap = Literal["skip", "queue"]
CatchUp = Literal["skip", "last", "all"]
Trigger = Literal["schedule", "retry", "manual"]
RunStatus = Literal["running", "success", "failed", "interrupted", "skipped"]

HEARTBEAT = "__heartbeat__"
AGENT_OWNER = "cron"
"""Whose sessions the jobs without an owner write."""
HEARTBEAT_OWNER = "heartbeat"


@dataclass(frozen=True, slots=True)
class OneShot:
    """Once, at `at`: RFC 3339 with an offset, or `YYYY-MM-DDTHH:MM:SS` in the job's zone."""

    at: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Every `every_ms` milliseconds, in whole seconds, counted from the due time before."""

    every_ms: int


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of 5 fields, 6 (seconds first), or a name such as `@daily`."""

    expr: str


Schedule = OneShot | Interval | Cron


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is stored. `user_id` None: it is the agent's own. `timezone` None: the configured one."""

    id: str
    user_id: str | None
    name: str
    prompt: str
    schedule: Schedule
    timezone: str | None
    enabled: bool
    delete_after_run: bool
    created_at: int
    last_run_at: int | None
    next_run_at: int | None
    retry_count: int
    max_retries: int
    last_error: str | None
    retry_at: int | None
    timeout_secs: int
    session_mode: SessionMode
    overlap: Overlap
    catch_up: CatchUp
    model: str | None


@dataclass(frozen=True, slots=True)
class JobRun:
    """One attempt at one due time, or the note that a due time was skipped. Costs in USD, `duration_ms` None while it runs."""

    id: str
    job_id: str
    trigger: Trigger
    attempt: int
    due_at: int
    started_at: int
    completed_at: int | None
    status: RunStatus
    result_summary: str | None
    session_id: str | None
    error: str | None
    cost_usd: float
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that this scheduler alone may carry out, until its lease ends. `job` is the job as it was when it was claimed."""

    run_id: str
    job: Job
    due_at: int
    attempt: int
    trigger: Trigger


def message_name(job_id: str, run_id: str, due_at: int, attempt: int, trigger: Trigger) -> str:
    """What a run's message to the agent is known as. Another scheduler that takes the run over finds by it what was done."""
    return f"job-{run_id}" if trigger == "manual" else f"job-{job_id}-{due_at}-{attempt}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `error` None is success; `text` is the whole answer; `is_silent`: there was nothing to do and nobody is told."""

    text: str
    session_id: str | None
    error: str | None = None
    cost_usd: float = 0.0
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class CronComplete:
    """A run has ended. `result_preview` has at most 500 characters of `text`, which is the whole answer, or why there is none.

    `user_id` None: the agent's own job, admins hear of it.
    """

    job_id: str
    run_id: str
    job_name: str
    session_id: str
    result_preview: str
    success: bool
    user_id: str | None
    text: str = ""
