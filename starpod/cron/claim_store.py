"""What is run now, and what comes after a run: the decisions that are made inside one transaction each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import peewee

from starpod.cron import store
from starpod.cron.schedules import iter_due, next_due
from starpod.cron.types import Claim, Cron, CronComplete, Job, OneShot, Outcome, Trigger, message_name
from starpod.errors import Conflict, InvalidInput, NotFound
from starpod.notifications import store as notifications
from starpod.notifications.types import News

BACKOFF_S = (30, 60, 300, 900, 3600)
GRACE_S = 60
"""A due time that is older than this counts as missed."""
SUMMARY_LENGTH = 500
CLOCKS_APART_S = 60.0
"""A lease that ends later than this behind the longest one was given by a clock that ran ahead."""
LOOKED_AT = 100
LOOK_BACK_S = (3600, 86_400, 8 * 86_400, 32 * 86_400, 367 * 86_400)
CUT_OFF = "cut off: the gateway stopped while it ran"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a scheduler runs now, and the runs of others that were cut off and are not tried again."""

    claims: tuple[Claim, ...]
    given_up: tuple[CronComplete, ...] = ()


def claim_due(
    connection: peewee.Database,
    *,
    now: float,
    scheduler: str,
    lease_s: float,
    slots: int,
    zone: str,
    alive: Sequence[str] = (),
    may_take_over: bool = True,
) -> Claimed:
    """Claim what is due, at most as much as there are free slots, and give each job its next time. One transaction.

    `zone` is that of jobs without one of their own, `alive` the runs that are under way in this scheduler. Without `may_take_over` the runs
    of others stay theirs, whatever their leases say.
    """
    second = int(now)
    # Our own runs are alive whatever the clock says: it may have been set, or the machine may have slept.
    store.renew(connection, alive, now + lease_s)
    given_up: list[CronComplete] = []
    for run_id, job in store.expired(connection, now, now + lease_s + CLOCKS_APART_S) if may_take_over else ():
        outcome = _cut_off(connection, run_id, job)
        settle(connection, run_id, job, outcome, now=second, is_interrupted=True)
        after = store.find_job(connection, job.id)
        if after is None or after.retry_at is None:
            given_up.append(complete(job, run_id, outcome))
            _keep_news(connection, given_up[-1], now)
    free = slots - store.count_running(connection)
    claims: list[Claim] = []
    for job, is_scheduled, is_running in store.due_jobs(connection, second, LOOKED_AT + max(free, 0)):
        trigger: Trigger = "schedule" if is_scheduled else "retry"
        if is_scheduled:
            due = _advance(connection, job, second, zone, is_running=is_running)
            if due is None:
                continue
            following = _following(job, due, second, zone)
            changed = replace(job, next_run_at=following, retry_at=None, retry_count=0, last_run_at=second)
            if store.was_claimed(connection, job.id, due):
                store.replace_job(connection, replace(job, next_run_at=following))
                continue
        else:
            due = store.last_due(connection, job.id) or second
            changed = replace(job, retry_at=None, last_run_at=second)
        if free <= 0:
            continue
        free -= 1
        claims.append(_start(connection, changed, due, trigger, now=now, scheduler=scheduler, lease_s=lease_s))
    return Claimed(tuple(claims), tuple(given_up))


def claim_now(connection: peewee.Database, job_id: str, *, now: float, scheduler: str, lease_s: float) -> Claim:
    """Claim a run by hand, whatever the schedule says. NotFound, or Conflict when the job is running."""
    job = store.find_job(connection, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}")
    if store.is_running(connection, job_id):
        raise Conflict(f"The job {job.name!r} is running now")
    changed = replace(job, last_run_at=int(now))
    return _start(connection, changed, int(now), "manual", now=now, scheduler=scheduler, lease_s=lease_s)


def finish(connection: peewee.Database, claim: Claim, outcome: Outcome, *, now: int, duration_ms: int) -> bool:
    """Record how a run ended, what follows from it, and the news for its people. False when it was no longer ours to end."""
    job = store.find_job(connection, claim.job.id)
    if job is None:
        return False
    run_id = claim.run_id
    if not settle(connection, run_id, job, outcome, now=now, duration_ms=duration_ms, trigger=claim.trigger):
        return False
    if not outcome.is_silent:
        _keep_news(connection, complete(claim.job, run_id, outcome), now)
    return True


def interrupt(connection: peewee.Database, claim: Claim, *, now: int) -> None:
    """Record that a run was cut off because its scheduler stops; the next one tries it again."""
    job = store.find_job(connection, claim.job.id)
    if job is not None:
        outcome = _cut_off(connection, claim.run_id, job)
        settle(connection, claim.run_id, job, outcome, now=now, trigger=claim.trigger, is_interrupted=True)


def look_ahead(connection: peewee.Database, slots: int) -> float | None:
    """When to look again at the latest: something is due and has a slot, or a lease ends. Seconds since 1970, None for never.

    Without a free slot nothing can start before a run ends, and the end of a run is heard.
    """
    due, lease_end = store.next_wake(connection)
    if store.count_running(connection) >= slots:
        due = None
    return min((moment for moment in (due, lease_end) if moment is not None), default=None)


def settle(
    connection: peewee.Database,
    run_id: str,
    job: Job,
    outcome: Outcome,
    *,
    now: int,
    duration_ms: int | None = None,
    trigger: Trigger | None = None,
    is_interrupted: bool = False,
) -> bool:
    """Close a run and change its job by the rules of retries. An interrupted run is tried again at once, a failed one later."""
    if trigger is None:
        run = store.find_run(connection, run_id)
        trigger = run.trigger if run is not None else "schedule"
    ended = store.end_run(
        connection,
        run_id,
        status="interrupted" if is_interrupted else "failed" if outcome.error else "success",
        now=now,
        summary=summarise(outcome.text) or None,
        session_id=outcome.session_id,
        error=outcome.error,
        cost_usd=outcome.cost_usd,
        duration_ms=duration_ms,
    )
    if not ended:
        return False
    store.trim_runs(connection, job.id)
    if trigger == "manual":
        store.replace_job(connection, replace(job, last_error=outcome.error))
        return True
    changed = _after(job, outcome, now, is_interrupted=is_interrupted)
    # A job that was given another time while it ran is not over.
    is_over = changed.retry_at is None and changed.next_run_at is None
    if changed.retry_at is None and job.delete_after_run and (is_over or not isinstance(job.schedule, OneShot)):
        store.delete_job(connection, job.id)
    else:
        store.replace_job(connection, replace(changed, enabled=changed.enabled and not is_over))
    return True


def summarise(text: str) -> str:
    """At most 500 characters of an answer."""
    return text if len(text) <= SUMMARY_LENGTH else text[: SUMMARY_LENGTH - 3] + "..."


def complete(job: Job, run_id: str, outcome: Outcome) -> CronComplete:
    """What the job's people are told of a run that has ended."""
    text = outcome.error if outcome.error is not None else outcome.text
    # A failed run has a session, too, but there is nothing to read in it.
    session_id = outcome.session_id if outcome.error is None else None
    return CronComplete(
        job.id, run_id, job.name, session_id or "", summarise(text), outcome.error is None, job.user_id, text
    )


def _keep_news(connection: peewee.Database, event: CronComplete, now: float) -> None:
    news = News(
        "cron_complete", event.job_name, event.result_preview, event.success, f"run-{event.run_id}", event.session_id,
        whole=event.text,
    )  # fmt: skip
    notifications.add_for(connection, news, event.user_id, now=datetime.fromtimestamp(now, UTC))


def _cut_off(connection: peewee.Database, run_id: str, job: Job) -> Outcome:
    """The outcome of a run that nobody carries out any more, with what it left."""
    run = store.find_run(connection, run_id)
    assert run is not None
    known_as = message_name(job.id, run_id, run.due_at, run.attempt, run.trigger)
    found = store.find_turn(connection, store.owner_of(job), known_as)
    if found is None:
        return Outcome("", None, CUT_OFF)
    return Outcome("", found[0], CUT_OFF, store.cost_of_turn(connection, found[1]))


def _after(job: Job, outcome: Outcome, now: int, *, is_interrupted: bool) -> Job:
    if outcome.error is None:
        return replace(job, retry_count=0, retry_at=None, last_error=None)
    if not job.enabled or job.retry_count >= job.max_retries:
        return replace(job, retry_count=0, retry_at=None, last_error=outcome.error)
    wait_s = 0 if is_interrupted else BACKOFF_S[min(job.retry_count, len(BACKOFF_S) - 1)]
    return replace(job, retry_count=job.retry_count + 1, retry_at=now + wait_s, last_error=outcome.error)


def _advance(connection: peewee.Database, job: Job, now: int, zone: str, *, is_running: bool) -> int | None:
    """The due time to run now; None when its policy says to leave it out, which is then recorded and the job moved on."""
    assert job.next_run_at is not None
    if is_running:
        _leave_out(connection, job, now, zone, "the run before was still under way")
        return None
    if job.catch_up == "all" or job.overlap == "queue":
        return job.next_run_at
    newest = _newest_due(job, now, zone)
    if job.catch_up == "skip" and now - newest > GRACE_S:
        _leave_out(connection, job, now, zone, "missed while the gateway was not running")
        return None
    return newest


def _leave_out(connection: peewee.Database, job: Job, now: int, zone: str, reason: str) -> None:
    assert job.next_run_at is not None
    newest = _newest_due(job, now, zone)
    store.note_skipped(connection, run_id=str(uuid.uuid4()), job=job, due_at=newest, now=now, reason=reason)
    following = _next(job, zone, after=now, anchor=newest)
    is_over = following is None and job.retry_at is None
    store.replace_job(connection, replace(job, next_run_at=following, enabled=job.enabled and not is_over))


def _following(job: Job, due: int, now: int, zone: str) -> int | None:
    """When the job is due after `due`. Who runs every missed time goes on from `due`, the others from now."""
    runs_all = job.catch_up == "all" or job.overlap == "queue"
    return _next(job, zone, after=due if runs_all else now, anchor=due)


def _next(job: Job, zone: str, *, after: int, anchor: int) -> int | None:
    if isinstance(job.schedule, OneShot):
        return None
    try:
        return next_due(job.schedule, job.timezone or zone, after=after, anchor=anchor)
    except InvalidInput:
        return None


def _newest_due(job: Job, now: int, zone: str) -> int:
    """The last due time that is not later than `now`."""
    first = job.next_run_at
    assert first is not None
    if isinstance(job.schedule, OneShot) or (following := _next(job, zone, after=first, anchor=first)) is None:
        return first
    if following > now:
        return first
    if not isinstance(job.schedule, Cron):
        return first + (now - first) // (following - first) * (following - first)
    for window in LOOK_BACK_S:
        newest = first
        for due in iter_due(job.schedule, job.timezone or zone, after=max(first, now - window)):
            if due > now:
                break
            newest = due
        if newest > first or now - window <= first:
            return newest
    return first


def _start(
    connection: peewee.Database, job: Job, due: int, trigger: Trigger, *, now: float, scheduler: str, lease_s: float
) -> Claim:
    run_id = str(uuid.uuid4())
    attempt = store.next_attempt(connection, job.id, due)
    store.start_run(
        connection,
        run_id=run_id,
        job=job,
        trigger=trigger,
        due_at=due,
        attempt=attempt,
        now=int(now),
        scheduler=scheduler,
        lease_until=now + lease_s,
    )
    store.replace_job(connection, job)
    return Claim(run_id, job, due, attempt, trigger)
