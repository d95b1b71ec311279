"""Due times run once: schedulers against each other, against crashes, and against clocks that are set."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from starpod.cron import claim_store
from starpod.cron.schedules import next_due
from starpod.cron.types import Cron, Interval, OneShot, Outcome
from starpod.db.database import Database
from tests.cron.world import ADMIN, START, World


@pytest.mark.gen_test
async def test_stopping_interrupts_a_run_and_the_next_scheduler_tries_it_again(world: World) -> None:
    job = await world.job("long", schedule=OneShot("2026-03-20T12:01:00Z"))
    world.gate = asyncio.Event()
    first = world.scheduler()
    first.start()
    await world.step(first, 60)
    await asyncio.sleep(0)
    await first.close()
    assert await world.status(job) == ["interrupted"]
    world.gate = None
    second = world.scheduler()
    await world.step(second, 0)
    assert world.ran == [("long", 60, 0), ("long", 60, 1)]
    assert await world.status(job) == ["success", "interrupted"]
    await second.close()


@pytest.mark.gen_test
async def test_a_scheduler_that_vanishes_loses_its_run_when_the_lease_ends(world: World) -> None:
    job = await world.job("long", schedule=OneShot("2026-03-20T12:01:00Z"))
    world.gate = asyncio.Event()
    gone, other = world.scheduler(), world.scheduler()
    await world.step(gone, 60)
    await asyncio.sleep(0)
    await world.step(other, 19)
    assert len(world.ran) == 1
    world.clock.advance(2)
    await other.tick()
    await asyncio.sleep(0)
    assert world.ran[1:] == [("long", 60, 1)]
    world.gate.set()
    await gone.idle()
    await other.idle()
    # The one that was thought dead ends, too, but only one result counts.
    assert await world.status(job) == ["success", "interrupted"]
    assert len(world.heard) == 1
    await gone.close()
    await other.close()


@pytest.mark.gen_test
async def test_the_end_of_a_lease_is_awaited_also_without_a_free_slot(tmp_path: Path) -> None:
    world = World(tmp_path, slots=1)
    await world.job("tea")
    world.gate = asyncio.Event()
    gone, other = world.scheduler(), world.scheduler()
    await world.step(gone, 60)
    assert await other.tick() == START.timestamp() + 60 + 20
    await gone.close()
    await other.close()
    world.database.close()


@pytest.mark.gen_test
async def test_a_run_that_nobody_carries_out_any_more_is_taken_over_by_its_own_scheduler(world: World) -> None:
    job = await world.job("tea", schedule=OneShot("2026-03-20T12:01:00Z"))
    scheduler = world.scheduler()
    await scheduler.tick()
    world.clock.advance(60)
    # As if the task had failed right after its claim was stored.
    await world.database.run(
        claim_store.claim_due,
        now=world.clock.now().timestamp(), scheduler=scheduler.id, lease_s=20.0, slots=1, zone="UTC",
    )  # fmt: skip
    await world.step(scheduler, 10)
    assert world.ran == []
    await world.step(scheduler, 11)
    assert world.ran == [("tea", 60, 1)]
    assert await world.status(job) == ["success", "interrupted"]
    await scheduler.close()


@pytest.mark.gen_test
async def test_a_run_that_ends_while_the_database_is_away_is_recorded_later_and_not_done_again(world: World) -> None:
    job = await world.job("tea")
    quick = Database(world.path, busy_timeout_ms=20)
    scheduler = world.scheduler(quick)
    world.gate = asyncio.Event()
    await world.step(scheduler, 60)
    other = sqlite3.connect(world.path)
    other.execute("BEGIN IMMEDIATE")
    world.gate.set()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(scheduler.idle(), 0.5)
    other.rollback()
    other.close()
    await asyncio.wait_for(scheduler.idle(), 10)
    assert await world.status(job) == ["success"]
    assert [event.success for event in world.heard] == [True]
    await scheduler.close()
    quick.close()


@pytest.mark.gen_test
async def test_closing_is_heard_also_when_something_changes_at_that_moment(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = world.scheduler()
    scheduler.start()
    await world.job("tea")
    await asyncio.sleep(0)
    await scheduler.tick()
    world.jobs.on_change()
    await scheduler.close()
    assert caplog.messages == []


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "schedule", [Interval(300_000), Interval(7_000), Cron("*/5 * * * *"), Cron("30 1 * * *")], ids=str
)
@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
async def test_a_clock_that_is_set_back_lets_no_job_wait_and_repeats_none(
    world: World, schedule: Any, zone: str | None
) -> None:
    job = await world.job("tea", schedule=schedule, timezone=zone)
    year = 365 * 86_400
    world.clock.set_by(year)
    scheduler = world.scheduler()
    await world.step(scheduler, 0)
    await world.step(scheduler, 86_400)
    assert (await world.jobs.get(ADMIN, job.id)).next_run_at >= int(START.timestamp()) + year
    world.clock.set_by(-year - 3600)
    await world.step(scheduler, 0)
    now = int(world.clock.now().timestamp())
    stored = await world.jobs.get(ADMIN, job.id)
    assert stored.next_run_at == next_due(schedule, zone or "UTC", after=now, anchor=stored.next_run_at)
    before = len(world.ran)
    for _ in range(4):
        await world.step(scheduler, 86_400 / 4)
    assert len(world.ran) > before
    # An hour is lived through twice; what was done in it is not done again.
    world.clock.set_by(-3600)
    for _ in range(24):
        await world.step(scheduler, 300)
    dues = [due for _, due, _ in world.ran]
    assert len(dues) == len(set(dues))
    await scheduler.close()


@pytest.mark.gen_test
async def test_a_lease_of_a_clock_that_ran_ahead_does_not_last_as_long(world: World) -> None:
    await world.job("tea", schedule=OneShot("2026-03-20T12:01:00Z"))
    world.clock.set_by(86_400)
    gone, other = world.scheduler(), world.scheduler()
    world.gate = asyncio.Event()
    await world.step(gone, 0)
    await asyncio.sleep(0)
    world.clock.set_by(-86_400)
    await world.step(other, 1)
    await asyncio.sleep(0)
    assert [attempt for _, _, attempt in world.ran] == [0, 1]
    world.gate.set()
    await gone.idle()
    await other.idle()
    await gone.close()
    await other.close()


@pytest.mark.gen_test
async def test_a_retry_of_a_clock_that_ran_ahead_comes_within_the_hour(world: World) -> None:
    job = await world.job("tea", schedule=OneShot("2026-03-20T12:01:00Z"))
    world.outcome = lambda claim: Outcome("", None, "no luck")
    world.clock.set_by(86_400)
    scheduler = world.scheduler()
    await world.step(scheduler, 0)
    world.clock.set_by(-86_400)
    await world.step(scheduler, 1)
    stored = await world.jobs.get(ADMIN, job.id)
    assert stored.retry_at == int(world.clock.now().timestamp()) + 3600
    await scheduler.close()


@pytest.mark.gen_test
async def test_two_schedulers_share_the_due_times(world: World) -> None:
    for number in range(20):
        await world.job(f"job {number}", schedule=Interval(1000 * (1 + number % 5)), catch_up="all")
    second_database = Database(world.path)
    pair = [world.scheduler(), world.scheduler(second_database)]
    for _ in range(60):
        world.clock.advance(1)
        await asyncio.gather(*(scheduler.tick() for scheduler in pair))
        await asyncio.gather(*(scheduler.idle() for scheduler in pair))
    while world.ran is not None:
        before = len(world.ran)
        await asyncio.gather(*(scheduler.tick() for scheduler in pair))
        await asyncio.gather(*(scheduler.idle() for scheduler in pair))
        if len(world.ran) == before:
            break
    counts = Counter(world.ran)
    assert max(counts.values()) == 1
    for number in range(20):
        every = 1 + number % 5
        due = sorted(due for name, due, _ in world.ran if name == f"job {number}")
        assert due == list(range(every, 61, every))
    for scheduler in pair:
        await scheduler.close()
    second_database.close()
