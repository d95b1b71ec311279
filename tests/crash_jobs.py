"""Two schedulers on one database, killed and started again at random moments: no due time may be lost, none may be done twice.

    python -m tests.crash_jobs --rounds 500

Each scheduler is a process of its own. What it does for a job, it writes into a log that survives it, as the gateway's conversations
do; before it begins it looks there, as the gateway does, so work that was finished but not recorded is not done again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from starpod.clock import SystemClock
from starpod.config.schema import Config
from starpod.cron.scheduler import Scheduler
from starpod.cron.service import CronJobs, NewJob
from starpod.cron.types import Claim, Interval, Outcome
from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.events import EventBus
from starpod.sessions.types import Viewer

JOBS = 6
LEASE_S = 1.0
ADMIN = Viewer(None, True)
CONFIG = Config.model_validate({"cron": {"max_concurrent_runs": JOBS}})


class Log:
    """Lines `verb job due attempt process`, on disk before the next step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, verb: str, claim: Claim) -> None:
        line = f"{verb} {claim.job.name} {claim.due_at} {claim.attempt} {os.getpid()}\n"
        with self._path.open("a") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self._path.read_text().splitlines()] if self._path.exists() else []

    def is_done(self, claim: Claim) -> bool:
        return ["done", claim.job.name, str(claim.due_at)] in [line[:3] for line in self.lines()]


def scheduler_on(database: Database, log: Log) -> tuple[Scheduler, CronJobs]:
    clock = SystemClock()
    jobs = CronJobs(database, clock, lambda: CONFIG, lambda: "UTC")

    async def run(claim: Claim) -> Outcome:
        if not log.is_done(claim):
            log.write("begin", claim)
            await asyncio.sleep(random.uniform(0, 0.8))
            log.write("done", claim)
        return Outcome("done", None)

    return Scheduler(database, clock, lambda: CONFIG, jobs, EventBus(), run, lease_s=LEASE_S), jobs


async def work(path: Path, log: Log) -> None:
    """One scheduler, until it is killed or told to stop."""
    database = Database(path)
    scheduler, _ = scheduler_on(database, log)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    scheduler.start()
    await stop.wait()
    await scheduler.close()
    database.close()


async def prepare(path: Path) -> None:
    database = Database(path)
    await asyncio.to_thread(migrate, database)
    jobs = CronJobs(database, SystemClock(), lambda: CONFIG, lambda: "UTC")
    for number in range(JOBS):
        schedule = Interval(1000 * (1 + number % 3))
        await jobs.create(ADMIN, NewJob(f"job{number}", "work", schedule, catch_up="all", max_retries=100))
    database.close()


async def settle(path: Path, log: Log) -> dict[str, tuple[int, int]]:
    """Stop making new due times, let one scheduler finish what is left; returns each job's first and last due second."""
    database = Database(path)
    scheduler, jobs = scheduler_on(database, log)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        wake = await scheduler.tick()
        await scheduler.idle()
        if wake is not None and wake > time.time():
            break
        await asyncio.sleep(0.05)
    spans = {}
    for job in await jobs.list_jobs(ADMIN):
        assert job.next_run_at is not None and job.retry_at is None, f"{job.name} is not settled"
        every = job.schedule.every_ms // 1000 if isinstance(job.schedule, Interval) else 0
        spans[job.name] = (job.created_at + every, job.next_run_at - every)
    await scheduler.close()
    database.close()
    return spans


def check(log: Log, spans: dict[str, tuple[int, int]]) -> list[str]:
    """What went wrong: due times that were lost, done twice, or worked on by two at a time."""
    faults = []
    done = Counter((name, int(due)) for verb, name, due, *_ in log.lines() if verb == "done")
    for number in range(JOBS):
        name, every = f"job{number}", 1 + number % 3
        first, last = spans[name]
        for due in range(first, last + 1, every):
            if done[name, due] != 1:
                faults.append(f"{name} at {due} was done {done[name, due]} times")
    begun: dict[tuple[str, str], str] = {}
    for verb, name, due, attempt, _ in log.lines():
        if verb == "begin":
            if (name, due) in begun and int(attempt) <= int(begun[name, due]):
                faults.append(f"{name} at {due} was begun twice by attempt {attempt}")
            begun[name, due] = attempt
    return faults


@contextmanager
def workers(path: Path, log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    found = [start(path, log) for _ in range(2)]
    try:
        yield found
    finally:
        for process in found:
            process.send_signal(signal.SIGTERM)
        for process in found:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def start(path: Path, log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.crash_jobs", "--worker", str(path), str(log)])


def run(rounds: int, seed: int) -> list[str]:
    """The faults after so many kills."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "core.db", Path(folder) / "log"
        asyncio.run(prepare(path))
        with workers(path, log) as running:
            for number in range(rounds):
                # Starting takes half a second, so that most kills meet a scheduler at work; due times are full seconds.
                time.sleep(rng.uniform(0.3, 1.6))
                victim = rng.randrange(len(running))
                running[victim].kill()
                running[victim].wait()
                running[victim] = start(path, log)
                if number % 50 == 49:
                    print(f"{number + 1} rounds", flush=True)
            time.sleep(1)
        spans = asyncio.run(settle(path, Log(log)))
        faults = check(Log(log), spans)
        counted = sum(1 for verb, *_ in Log(log).lines() if verb == "done")
        again = sum(1 for line in Log(log).lines() if line[0] == "begin" and line[3] != "0")
        print(f"seed {seed}: {rounds} kills, {counted} due times done, {again} tried again, {len(faults)} faults")
        return faults


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash_jobs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--worker", nargs=2, type=Path, metavar=("DATABASE", "LOG"))
    options = parser.parse_args(argv)
    if options.worker:
        asyncio.run(work(options.worker[0], Log(options.worker[1])))
        return 0
    faults = run(options.rounds, options.seed)
    print("\n".join(faults[:20]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
