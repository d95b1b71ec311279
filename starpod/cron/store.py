"""SQL of the cron domain. Plain functions on a connection; rows leave as records. A due time of a job can be claimed once only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import peewee

from starpod.cron.types import (
    AGENT_OWNER,
    HEARTBEAT,
    HEARTBEAT_OWNER,
    Cron,
    Interval,
    Job,
    JobRun,
    OneShot,
    RunStatus,
    Schedule,
    Trigger,
)
from starpod.errors import Conflict, InvalidInput

JOB = (
    "id, user_id, name, prompt, schedule_type, schedule_value, timezone, enabled, delete_after_run, created_at, last_run_at, next_run_at, "
    "retry_count, max_retries, last_error, retry_at, timeout_secs, session_mode, overlap, catch_up, model"
)
RUN = (
    "id, job_id, trigger_kind, attempt, due_at, started_at, completed_at, status, result_summary, session_id, error, "
    "cost_usd, duration_ms"
)
RUNS_KEPT = 200

_IS_RUNNING = "EXISTS (SELECT 1 FROM cron_runs r WHERE r.job_id = j.id AND r.status = 'running')"
_RUNS_ALL = "(j.overlap = 'queue' OR j.catch_up = 'all')"
# Who runs every due time begins the next one only when the one before is over, with its retries.
_FREE = f"(NOT {_RUNS_ALL} OR (j.retry_at IS NULL AND NOT {_IS_RUNNING}))"
_HAS_OWNER = "(j.user_id IS NULL OR EXISTS (SELECT 1 FROM users u WHERE u.id = j.user_id AND u.is_active = 1))"
_DUE = f"j.enabled = 1 AND j.next_run_at IS NOT NULL AND {_FREE} AND {_HAS_OWNER}"
_RETRY = f"j.enabled = 1 AND j.retry_at IS NOT NULL AND NOT {_IS_RUNNING} AND {_HAS_OWNER}"


def insert_job(connection: peewee.Database, job: Job, *, most: int) -> None:
    """Store a new job. Conflict when its owner has one of that name, InvalidInput when a person has `most` jobs already."""
    if job.user_id is not None:
        sql = "SELECT count(*) FROM cron_jobs WHERE user_id = ?"
        if connection.execute_sql(sql, (job.user_id,)).fetchone()[0] >= most:
            raise InvalidInput(f"There are {most} jobs already; delete some first")
    marks = ", ".join("?" for _ in JOB.split(","))
    with _unique_name(job):
        connection.execute_sql(f"INSERT INTO cron_jobs ({JOB}) VALUES ({marks})", _job_row(job))


def replace_job(connection: peewee.Database, job: Job) -> bool:
    """Store all of a job anew; False when it is gone. Conflict when the name is taken."""
    columns = ", ".join(f"{name.strip()} = ?" for name in JOB.split(","))
    with _unique_name(job):
        cursor = connection.execute_sql(f"UPDATE cron_jobs SET {columns} WHERE id = ?", (*_job_row(job), job.id))
    return bool(cursor.rowcount)


@contextlib.contextmanager
def _unique_name(job: Job) -> Iterator[None]:
    try:
        yield
    except peewee.IntegrityError as error:
        if "cron_jobs_name" not in str(error) and "UNIQUE" not in str(error):
            raise
        raise Conflict(f"There is a job called {job.name!r} already; change that one or choose another name") from error


def delete_job(connection: peewee.Database, job_id: str) -> bool:
    """Remove a job with its runs; False when it is gone."""
    return bool(connection.execute_sql("DELETE FROM cron_jobs WHERE id = ?", (job_id,)).rowcount)


def find_job(connection: peewee.Database, job_id: str) -> Job | None:
    """The job of that id."""
    row = connection.execute_sql(f"SELECT {JOB} FROM cron_jobs WHERE id = ?", (job_id,)).fetchone()
    return _job(row) if row is not None else None


def find_named(connection: peewee.Database, user_id: str | None, name: str) -> Job | None:
    """An owner's job by its name."""
    row = connection.execute_sql(
        f"SELECT {JOB} FROM cron_jobs WHERE coalesce(user_id, '') = ? AND name = ?", (user_id or "", name)
    ).fetchone()
    return _job(row) if row is not None else None


def list_jobs(connection: peewee.Database, user_id: str | None) -> list[Job]:
    """Jobs by name: those of one owner, or all when `user_id` is None."""
    where, params = ("WHERE user_id = ?", (user_id,)) if user_id is not None else ("", ())
    rows = connection.execute_sql(f"SELECT {JOB} FROM cron_jobs {where} ORDER BY name, id", params)
    return [_job(row) for row in rows]


def retimeable_jobs(connection: peewee.Database, *, after: str, now: int, limit: int, whole: bool) -> list[Job]:
    """Jobs that are not due yet and may have a wrong next time, by id from behind `after`: those with a cron expression in the configured
    zone; for `whole`, with one in any zone, and those that are further away than their interval."""
    is_wrong = (
        "CASE schedule_type WHEN 'cron' THEN 1 = 1 "
        "WHEN 'interval' THEN next_run_at - ? > CAST(schedule_value AS BIGINT) / 1000 ELSE 1 = 0 END"
        if whole
        else "schedule_type = 'cron' AND timezone IS NULL"
    )
    rows = connection.execute_sql(
        f"SELECT {JOB} FROM cron_jobs WHERE id > ? AND enabled = 1 AND next_run_at > ? AND {is_wrong} ORDER BY id LIMIT ?",
        (after, now, *([now] if whole else []), limit),
    )
    return [_job(row) for row in rows]


def hasten_retries(connection: peewee.Database, latest: int) -> None:
    """Let no retry wait for longer than until `latest`."""
    connection.execute_sql("UPDATE cron_jobs SET retry_at = ? WHERE retry_at > ?", (latest, latest))


def due_jobs(connection: peewee.Database, now: int, limit: int) -> list[tuple[Job, bool, bool]]:
    """Jobs that a schedule or a retry calls for, the longest overdue first: (job, whether the schedule does, whether it is running)."""
    rows = connection.execute_sql(
        f"SELECT {_prefixed(JOB)}, 1, {_IS_RUNNING}, j.next_run_at AS due FROM cron_jobs j WHERE {_DUE} AND j.next_run_at <= ? "
        f"UNION ALL SELECT {_prefixed(JOB)}, 0, 0, j.retry_at AS due FROM cron_jobs j WHERE {_RETRY} AND j.retry_at <= ? "
        f"AND (j.next_run_at IS NULL OR j.next_run_at > ? OR {_RUNS_ALL}) ORDER BY due LIMIT ?",
        (now, now, now, limit),
    )
    width = len(JOB.split(","))
    return [(_job(row[:width]), row[width] != 0, row[width + 1] != 0) for row in rows]


def next_wake(connection: peewee.Database) -> tuple[float | None, float | None]:
    """When a job that is free to run is next due, and when the next lease ends; None for never."""
    row = connection.execute_sql(
        f"SELECT (SELECT j.next_run_at FROM cron_jobs j WHERE {_DUE} ORDER BY j.next_run_at LIMIT 1), "
        f"(SELECT j.retry_at FROM cron_jobs j WHERE {_RETRY} ORDER BY j.retry_at LIMIT 1), "
        "(SELECT min(lease_until) FROM cron_runs WHERE status = 'running')"
    ).fetchone()
    *due, lease_end = row
    return min((float(moment) for moment in due if moment is not None), default=None), lease_end


def start_run(
    connection: peewee.Database,
    *,
    run_id: str,
    job: Job,
    trigger: Trigger,
    due_at: int,
    attempt: int,
    now: int,
    scheduler: str,
    lease_until: float,
) -> None:
    """Claim a due time. peewee.IntegrityError when it was claimed before."""
    connection.execute_sql(
        "INSERT INTO cron_runs (id, job_id, trigger_kind, attempt, due_at, started_at, status, scheduler, lease_until) "
        "VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?)",
        (run_id, job.id, trigger, attempt, due_at, now, scheduler, lease_until),
    )


def note_skipped(connection: peewee.Database, *, run_id: str, job: Job, due_at: int, now: int, reason: str) -> None:
    """Record that a due time was left out on purpose."""
    connection.execute_sql(
        "INSERT INTO cron_runs (id, job_id, trigger_kind, attempt, due_at, started_at, completed_at, status, result_summary) "
        "VALUES (?, ?, 'schedule', ?, ?, ?, ?, 'skipped', ?)",
        (run_id, job.id, next_attempt(connection, job.id, due_at), due_at, now, now, reason),
    )


def next_attempt(connection: peewee.Database, job_id: str, due_at: int) -> int:
    """The number of the next attempt at a due time."""
    row = connection.execute_sql(
        "SELECT coalesce(max(attempt) + 1, 0) FROM cron_runs WHERE job_id = ? AND due_at = ?", (job_id, due_at)
    ).fetchone()
    return int(row[0])


def was_claimed(connection: peewee.Database, job_id: str, due_at: int) -> bool:
    """Whether a due time was run or left out before; a run by hand does not count."""
    sql = "SELECT 1 FROM cron_runs WHERE job_id = ? AND due_at = ? AND trigger_kind <> 'manual'"
    return connection.execute_sql(sql, (job_id, due_at)).fetchone() is not None


def last_due(connection: peewee.Database, job_id: str) -> int | None:
    """The due time of the newest run that came to nothing and was not started by hand: what a retry is for."""
    row = connection.execute_sql(
        "SELECT due_at FROM cron_runs WHERE job_id = ? AND trigger_kind <> 'manual' AND status IN ('failed', 'interrupted') "
        "ORDER BY started_at DESC, due_at DESC LIMIT 1",
        (job_id,),
    ).fetchone()
    return int(row[0]) if row is not None else None


def end_run(
    connection: peewee.Database,
    run_id: str,
    *,
    status: RunStatus,
    now: int,
    summary: str | None,
    session_id: str | None,
    error: str | None,
    cost_usd: float,
    duration_ms: int | None,
) -> bool:
    """Close a run; False when it is not running any more, because its lease ran out or its job was deleted."""
    cursor = connection.execute_sql(
        "UPDATE cron_runs SET status = ?, completed_at = ?, result_summary = ?, session_id = ?, error = ?, cost_usd = ?, duration_ms = ?, "
        "lease_until = NULL WHERE id = ? AND status = 'running'",
        (status, now, summary, session_id, error, cost_usd, duration_ms, run_id),
    )
    return bool(cursor.rowcount)


def note_session(connection: peewee.Database, run_id: str, session_id: str) -> None:
    """Where the run that is under way can be followed."""
    connection.execute_sql(
        "UPDATE cron_runs SET session_id = ? WHERE id = ? AND status = 'running'", (session_id, run_id)
    )


def trim_runs(connection: peewee.Database, job_id: str) -> None:
    """Keep the newest runs of a job only."""
    connection.execute_sql(
        "DELETE FROM cron_runs WHERE job_id = ? AND status <> 'running' AND id NOT IN "
        "(SELECT id FROM cron_runs WHERE job_id = ? ORDER BY started_at DESC, due_at DESC, attempt DESC LIMIT ?)",
        (job_id, job_id, RUNS_KEPT),
    )


def count_running(connection: peewee.Database) -> int:
    """Runs under way, of all schedulers."""
    return int(connection.execute_sql("SELECT count(*) FROM cron_runs WHERE status = 'running'").fetchone()[0])


def is_running(connection: peewee.Database, job_id: str) -> bool:
    """Whether a run of the job is under way."""
    sql = "SELECT 1 FROM cron_runs WHERE job_id = ? AND status = 'running'"
    return connection.execute_sql(sql, (job_id,)).fetchone() is not None


def expired(connection: peewee.Database, now: float, latest: float) -> list[tuple[str, Job]]:
    """Runs whose scheduler is gone: (run id, job). No lease that is alive ends after `latest`."""
    rows = connection.execute_sql(
        f"SELECT r.id, {_prefixed(JOB)} FROM cron_runs r JOIN cron_jobs j ON j.id = r.job_id "
        "WHERE r.status = 'running' AND (r.lease_until < ? OR r.lease_until > ?)",
        (now, latest),
    )
    return [(row[0], _job(row[1:])) for row in rows]


def renew(connection: peewee.Database, run_ids: Sequence[str], lease_until: float) -> set[str]:
    """Prolong the leases of these runs; returns those of them that are still under way."""
    sql = "UPDATE cron_runs SET lease_until = ? WHERE id = ? AND status = 'running'"
    return {run_id for run_id in run_ids if connection.execute_sql(sql, (lease_until, run_id)).rowcount}


def list_runs(connection: peewee.Database, job_id: str, limit: int) -> list[JobRun]:
    """Runs of a job, the newest first."""
    rows = connection.execute_sql(
        f"SELECT {RUN} FROM cron_runs WHERE job_id = ? ORDER BY started_at DESC, due_at DESC, attempt DESC LIMIT ?",
        (job_id, limit),
    )
    return [JobRun(*row) for row in rows]


def find_run(connection: peewee.Database, run_id: str) -> JobRun | None:
    """The run of that id."""
    row = connection.execute_sql(f"SELECT {RUN} FROM cron_runs WHERE id = ?", (run_id,)).fetchone()
    return JobRun(*row) if row is not None else None


def owner_state(connection: peewee.Database, user_id: str) -> tuple[bool, bool] | None:
    """(is active, is admin) of a person; None when there is none of that id."""
    row = connection.execute_sql("SELECT is_active, role FROM users WHERE id = ?", (user_id,)).fetchone()
    return (row[0] != 0, row[1] == "admin") if row is not None else None


def cost_of_turn(connection: peewee.Database, turn_id: str) -> float:
    """What the model calls of a turn cost, in USD."""
    sql = "SELECT coalesce(sum(cost_usd), 0) FROM usage_stats WHERE turn_id = ?"
    return float(connection.execute_sql(sql, (turn_id,)).fetchone()[0])


def mark_unread(connection: peewee.Database, session_id: str) -> None:
    """Show a session as unread."""
    connection.execute_sql("UPDATE session_metadata SET is_read = 0 WHERE id = ?", (session_id,))


def find_turn(connection: peewee.Database, user_id: str, known_as: str) -> tuple[str, str] | None:
    """(session id, turn id) of the turn that a run's message began."""
    sql = "SELECT session_id, id FROM turns WHERE user_id = ? AND client_message_id = ?"
    row = connection.execute_sql(sql, (user_id, known_as)).fetchone()
    return (row[0], row[1]) if row is not None else None


def owner_of(job: Job) -> str:
    """Whose sessions a job writes."""
    return job.user_id or (HEARTBEAT_OWNER if job.name == HEARTBEAT else AGENT_OWNER)


def _prefixed(columns: str) -> str:
    return ", ".join(f"j.{name.strip()}" for name in columns.split(","))


def _job_row(job: Job) -> tuple[Any, ...]:
    kind, value = _written(job.schedule)
    return (
        job.id, job.user_id, job.name, job.prompt, kind, value, job.timezone, job.enabled, job.delete_after_run, job.created_at,
        job.last_run_at, job.next_run_at, job.retry_count, job.max_retries, job.last_error, job.retry_at, job.timeout_secs,
        job.session_mode, job.overlap, job.catch_up, job.model,
    )  # fmt: skip


def _written(schedule: Schedule) -> tuple[str, str]:
    match schedule:
        case OneShot():
            return "one_shot", schedule.at
        case Interval():
            return "interval", str(schedule.every_ms)
        case Cron():
            return "cron", schedule.expr


def _read(kind: str, value: str) -> Schedule:
    match kind:
        case "one_shot":
            return OneShot(value)
        case "interval":
            return Interval(int(value))
        case _:
            return Cron(value)


def _job(row: tuple[Any, ...]) -> Job:
    before, after = row[:4], row[8:]
    return Job(*before, _read(row[4], row[5]), row[6], row[7] != 0, after[0] != 0, *after[1:])  # type: ignore[call-arg]
