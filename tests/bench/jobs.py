"""Notices to thousands of sockets, and a gateway with thousands of jobs that mostly wait."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import uuid
from pathlib import Path

from starpod.paths import resolve_paths
from tests.bench.processes import Target
from tests.bench.report import Figure
from tests.bench.sockets import SocketClient, request

SOCKETS = 5000
JOBS = 10_000
DUE = 10
IDLE_S = 20.0
LAST_MS, CPU_PERCENT, START_MS = 150.0, 1.0, 1000.0
AT_A_TIME = 200


def notices(target: Target, rounds: int, sockets: int) -> list[Figure]:
    """From the first socket that hears of a finished job to the last, in one process with all its clients."""
    taken = asyncio.run(_notices(target, rounds, sockets))
    middle = sorted(taken)[len(taken) // 2]
    name = f"notice to {sockets:,} sockets, last after first"
    return [Figure(name, "ms", middle, None, f"< {LAST_MS:.0f} ms", middle < LAST_MS, (min(taken), max(taken)))]


async def _notices(target: Target, rounds: int, count: int) -> list[float]:
    heard: list[int] = []
    done = asyncio.Event()

    def on_frame(payload: bytes, at_ns: int) -> None:
        if payload.startswith(b'{"type":"notification"'):
            heard.append(time.monotonic_ns())
            if len(heard) == count:
                done.set()

    sockets = [SocketClient(on_frame) for _ in range(count)]
    for start in range(0, count, AT_A_TIME):
        await asyncio.gather(
            *(each.open(target.port, target.socket_path) for each in sockets[start : start + AT_A_TIME])
        )
    job = await _post(target, "/api/cron/jobs", {"name": f"n-{uuid.uuid4()}", "prompt": "{}", "schedule": _schedule()})
    taken = []
    for _ in range(rounds + 1):
        heard.clear()
        done.clear()
        await _post(target, f"/api/cron/jobs/{job['id']}/run", {})
        await asyncio.wait_for(done.wait(), 30)
        taken.append((heard[-1] - heard[0]) / 1e6)
        await asyncio.sleep(0.5)
    for each in sockets:
        each.close()
    return taken[1:]


def fill(folder: Path) -> None:
    """Write jobs of the agent itself past the gateway, which must not run; most are due in hours to weeks."""
    now = int(time.time())
    with sqlite3.connect(resolve_paths(folder).core_db) as connection:
        rows = ((str(uuid.uuid4()), f"job {n}", now, now + 3600 + n * 60) for n in range(JOBS))
        connection.executemany(
            "INSERT INTO cron_jobs (id, name, prompt, schedule_type, schedule_value, created_at, next_run_at) "
            "VALUES (?, ?, '{}', 'interval', '86400000', ?, ?)",
            rows,
        )
    connection.close()


def schedules(target: Target) -> list[Figure]:
    """What waiting costs, and how late jobs start beside ten thousand others."""
    time.sleep(5)  # what a start brings along is over
    before = target.cpu_s
    time.sleep(IDLE_S)
    percent = (target.cpu_s - before) / IDLE_S * 100
    late = asyncio.run(_lateness(target))
    cpu = Figure(f"CPU idle with {JOBS:,} jobs", "%", percent, None, f"< {CPU_PERCENT:.0f} %", percent < CPU_PERCENT)
    name = "due time to the end of its turn, latest"
    return [
        cpu,
        Figure(name, "ms", max(late), None, f"< {START_MS:.0f} ms", max(late) < START_MS, (min(late), max(late))),
    ]


async def _lateness(target: Target) -> list[float]:
    ended: dict[str, float] = {}
    done = asyncio.Event()

    def on_frame(payload: bytes, at_ns: int) -> None:
        if payload.startswith(b'{"type":"notification"'):
            ended[json.loads(payload)["job_name"]] = time.time()
            if len(ended) == DUE:
                done.set()

    socket = SocketClient(on_frame)
    await socket.open(target.port, target.socket_path)
    first = int(time.time()) + 3
    due = {f"due {uuid.uuid4()}": first + n for n in range(DUE)}
    for name, at in due.items():
        moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(at))
        body = {"name": name, "prompt": "{}", "schedule": {"kind": "one_shot", "at": moment}}
        await _post(target, "/api/cron/jobs", body)
    await asyncio.wait_for(done.wait(), DUE + 30)
    socket.close()
    return [(ended[name] - at) * 1000 for name, at in due.items()]


def _schedule() -> dict[str, str]:
    return {"kind": "cron", "expr": "0 0 1 1 *"}


async def _post(target: Target, path: str, body: dict[str, object]) -> dict[str, str]:
    headers = f"{target.headers}Content-Type: application/json\r\n"
    answer: dict[str, str] = json.loads(await request(target.port, "POST", path, json.dumps(body).encode(), headers))
    return answer
