"""Due times run once: the policies of jobs, on a fake clock."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from starpod.cron.service import NewJob
from starpod.cron.types import Cron, Interval, OneShot, Outcome
from starpod.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from starpod.sessions.types import Viewer
from tests.cron.world import ADMIN, START, World


@pytest.mark.gen_test
async def test_a_job_runs_when_it_is_due_and_its_history_tells(world: World) -> None:
    job = await world.job("tea")
    scheduler = world.scheduler()
    await world.step(scheduler, 59)
    assert world.ran == []
    await world.step(scheduler, 1)
    await world.step(scheduler, 0)
    await world.step(scheduler, 60)
    assert world.ran == [("tea", 60, 0), ("tea", 120, 0)]
    first = (await world.jobs.runs(ADMIN, job.id))[-1]
    assert (first.status, first.result_summary, first.session_id, first.cost_usd) == ("success", "did tea", "s1", 0.5)
    assert first.duration_ms == 0
    assert [(event.job_name, event.success, event.user_id) for event in world.heard] == [("tea", True, "boss")] * 2
    await scheduler.close()


@pytest.mark.gen_test
async def test_a_long_answer_is_cut_in_the_notice(world: World) -> None:
    await world.job("long")
    scheduler = world.scheduler()
    world.outcome = lambda claim: Outcome("ä" * 10_000, "s1")
    await world.step(scheduler, 60)
    world.outcome = lambda claim: Outcome("", None, "ö" * 10_000)
    await world.step(scheduler, 60)
    assert [len(event.result_preview) for event in world.heard] == [500, 500]
    await scheduler.close()


@pytest.mark.gen_test
async def test_a_failed_run_is_tried_again_with_growing_pauses_and_then_given_up(world: World) -> None:
    job = await world.job("flaky", schedule=OneShot("2026-03-20T12:01:00Z"), max_retries=2)
    world.outcome = lambda claim: Outcome("", None, "no luck")
    scheduler = world.scheduler()
    for seconds in (60, 29, 1, 59, 1, 3600, 3600):
        await world.step(scheduler, seconds)
    assert world.ran == [("flaky", 60, 0), ("flaky", 60, 1), ("flaky", 60, 2)]
    stored = await world.jobs.get(ADMIN, job.id)
    assert (stored.enabled, stored.last_error, stored.retry_at) == (False, "no luck", None)
    await scheduler.close()


@pytest.mark.gen_test
async def test_a_one_shot_that_is_to_be_deleted_stays_until_its_retries_are_over(world: World) -> None:
    job = await world.job("once", schedule=OneShot("2026-03-20T12:01:00Z"), delete_after_run=True)
    answers = [Outcome("", None, "no luck"), Outcome("fine", "s1")]
    world.outcome = lambda claim: answers.pop(0)
    scheduler = world.scheduler()
    await world.step(scheduler, 60)
    assert (await world.jobs.get(ADMIN, job.id)).enabled
    await world.step(scheduler, 30)
    with pytest.raises(NotFound):
        await world.jobs.get(ADMIN, job.id)
    await scheduler.close()


@pytest.mark.gen_test
@pytest.mark.parametrize(("catch_up", "expected"), [("last", [600]), ("all", [60 * step for step in range(1, 11)])])
async def test_what_was_missed_is_made_up_as_the_job_says(world: World, catch_up: Any, expected: list[int]) -> None:
    job = await world.job("news", schedule=Cron("* * * * *"), catch_up=catch_up)
    scheduler = world.scheduler()
    world.clock.advance(610)
    for _ in range(12):
        await world.step(scheduler, 0)
    assert [due for _, due, _ in world.ran] == expected
    assert (await world.jobs.get(ADMIN, job.id)).next_run_at == int(START.timestamp()) + 660
    await scheduler.close()


@pytest.mark.gen_test
async def test_a_missed_hourly_job_that_skips_is_noted_and_goes_on(world: World) -> None:
    job = await world.job("hourly", schedule=Cron("0 * * * *"), catch_up="skip")
    scheduler = world.scheduler()
    await world.step(scheduler, 3600 + 120)
    assert world.ran == []
    assert await world.status(job) == ["skipped"]
    await world.step(scheduler, 3600 - 120)
    assert world.ran == [("hourly", 7200, 0)]
    await scheduler.close()


@pytest.mark.gen_test
@pytest.mark.parametrize("overlap", ["skip", "queue"])
async def test_a_job_never_runs_beside_itself(world: World, overlap: Any) -> None:
    job = await world.job("slow", schedule=Interval(5_000), overlap=overlap, catch_up="last")
    world.gate = asyncio.Event()
    scheduler = world.scheduler()
    for _ in range(3):
        await world.step(scheduler, 5)
        await asyncio.sleep(0)
    assert len(world.ran) == 1
    world.gate.set()
    await scheduler.idle()
    world.gate = None
    for _ in range(3):
        await world.step(scheduler, 0)
    if overlap == "queue":
        assert [due for _, due, _ in world.ran] == [5, 10, 15]
    else:
        assert [due for _, due, _ in world.ran] == [5]
        assert (await world.status(job)).count("skipped") == 2
    await scheduler.close()


@pytest.mark.gen_test
async def test_jobs_run_side_by_side_up_to_the_limit(tmp_path: Path) -> None:
    world = World(tmp_path, slots=2)
    for number in range(5):
        await world.job(f"job {number}")
    world.gate = asyncio.Event()
    scheduler = world.scheduler()
    await world.step(scheduler, 60)
    await asyncio.sleep(0)
    assert scheduler.running_count == 2
    world.gate.set()
    for _ in range(5):
        await scheduler.idle()
        await world.step(scheduler, 0)
    assert sorted(name for name, _, _ in world.ran) == [f"job {number}" for number in range(5)]
    await scheduler.close()
    world.database.close()


@pytest.mark.gen_test
async def test_a_run_that_takes_too_long_is_ended(world: World) -> None:
    await world.job("stuck", timeout_secs=1, max_retries=0)
    world.gate = asyncio.Event()
    scheduler = world.scheduler()
    await world.step(scheduler, 60)
    await asyncio.wait_for(scheduler.idle(), 10)
    assert [(event.success, event.result_preview) for event in world.heard] == [(False, "Timed out after 1 s")]
    await scheduler.close()


@pytest.mark.gen_test
async def test_running_by_hand_leaves_the_schedule_alone(world: World) -> None:
    job = await world.job("tea", schedule=Interval(60_000))
    scheduler = world.scheduler()
    with pytest.raises(Unavailable):
        await world.jobs.run_now(ADMIN, job.id)
    scheduler.start()
    world.gate = asyncio.Event()
    await world.jobs.run_now(ADMIN, job.id)
    await asyncio.sleep(0)
    with pytest.raises(Conflict):
        await world.jobs.run_now(ADMIN, job.id)
    world.gate.set()
    await scheduler.idle()
    world.gate = None
    assert (await world.jobs.get(ADMIN, job.id)).next_run_at == job.next_run_at
    await world.step(scheduler, 60)
    assert [due for _, due, _ in world.ran] == [0, 60]
    await scheduler.close()


@pytest.mark.gen_test
async def test_changing_a_job_computes_its_next_time_anew(world: World) -> None:
    job = await world.job("tea")
    paused = await world.jobs.update(ADMIN, job.id, {"enabled": False})
    assert paused.next_run_at is None
    again = await world.jobs.update(ADMIN, job.id, {"enabled": True, "schedule": Cron("0 13 * * *")})
    assert again.next_run_at == int(START.timestamp()) + 3600
    moved = await world.jobs.update(ADMIN, job.id, {"timezone": "Asia/Tokyo"})
    assert moved.next_run_at == int(START.timestamp()) + 16 * 3600
    with pytest.raises(InvalidInput):
        await world.jobs.update(ADMIN, job.id, {"schedule": Cron("nonsense")})
    assert await world.jobs.get(ADMIN, job.id) == moved


@pytest.mark.gen_test
async def test_people_see_and_change_their_own_jobs_only(world: World) -> None:
    ann, bob = Viewer("ann"), Viewer("bob")
    job = await world.jobs.create(ann, NewJob("tea", "make tea", Interval(60_000)))
    await world.jobs.create(bob, NewJob("tea", "make tea", Interval(60_000)))
    assert [each.user_id for each in await world.jobs.list_jobs(ann)] == ["ann"]
    assert len(await world.jobs.list_jobs(ADMIN)) == 2
    with pytest.raises(NotFound):
        await world.jobs.get(bob, job.id)
    for refused in (
        world.jobs.update(bob, job.id, {"prompt": "x"}),
        world.jobs.delete(bob, job.id),
        world.jobs.run_now(bob, job.id),
    ):
        with pytest.raises(Forbidden):
            await refused
    with pytest.raises(Conflict):
        await world.jobs.create(ann, NewJob("tea", "again", Interval(60_000)))
    for bad in (
        {"name": ""},
        {"name": "__heartbeat__"},
        {"prompt": "  "},
        {"timeout_secs": 0},
        {"max_retries": -1},
        {"timezone": "Nowhere"},
    ):
        with pytest.raises(InvalidInput):
            await world.jobs.create(ann, NewJob(**({"name": "n", "prompt": "p", "schedule": Interval(60_000)} | bad)))


@pytest.mark.gen_test
async def test_ten_thousand_jobs_are_looked_through_in_no_time(world: World) -> None:
    rng = random.Random(3)
    rows = [
        (f"{number}", f"job {number}", int(START.timestamp()) + rng.randint(600, 90_000)) for number in range(10_000)
    ]
    world.database.run_here(
        lambda connection: connection.connection().executemany(
            "INSERT INTO cron_jobs (id, name, prompt, schedule_type, schedule_value, created_at, next_run_at) "
            "VALUES (?, ?, 'do it', 'interval', '86400000', 0, ?)",
            rows,
        )
    )
    scheduler = world.scheduler()
    wake = await scheduler.tick()
    assert wake == min(due for _, _, due in rows)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for _ in range(20):
        await scheduler.tick()
    assert (loop.time() - began) / 20 < 0.05
    await scheduler.close()
