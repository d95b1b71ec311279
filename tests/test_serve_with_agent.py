"""A program of a caller's own that runs the gateway by `starpod.serve_with_agent`, started as they would start it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tornado.websocket import websocket_connect

pytestmark = pytest.mark.gen_test(timeout=60)

KEY = "callers-own-key-" + "0" * 24
TIMEOUT_S = 20.0
BEGIN = """
import asyncio, json, os, sys
from pathlib import Path

import starpod
from starpod.server import prepare

def tell(*given):
    print(json.dumps(given), flush=True)

async def tell_later(*given):
    await asyncio.sleep(0)
    tell(*given)

def fail(*given):
    tell(*given)
    raise RuntimeError("the notifier's own mistake")

paths, config = prepare(Path(sys.argv[1]), os.environ)
"""
PLAIN = """
asyncio.run(starpod.serve_with_agent(None, config, {notifier}, paths=paths, port=0))
"""
OWN = """
from starpod.agent.service import Agent
from starpod.auth.service import Auth
from starpod.clock import SystemClock
from starpod.state import open_database

async def main():
    database = await open_database(paths)
    auth = Auth(database, SystemClock())
    await auth.bootstrap(os.environ)
    agent = Agent(
        database=database, paths=paths, config=lambda: config.config, environ=lambda: os.environ, clock=SystemClock()
    )
    await starpod.serve_with_agent(agent, config, tell, paths=paths, auth=auth, port=0)

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def running(folder: Path, program: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The program's process and the port that it listens on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BEGIN + program, str(folder),
        env={**os.environ, "STARPOD_API_KEY": KEY}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process, int((await line_of(process, "Starpod is listening on")).rsplit(":", 1)[1])
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line_of(process: asyncio.subprocess.Process, start: str) -> str:
    """The next line that begins like this."""
    assert process.stdout is not None
    async with asyncio.timeout(TIMEOUT_S):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(start):
                return line
    raise AssertionError("the program ended")


@pytest.mark.parametrize("notifier", ["tell", "tell_later", "fail", "own agent"])
async def test_the_callers_notifier_hears_of_each_run_beside_the_sockets(tmp_path: Path, notifier: str) -> None:
    program = OWN if notifier == "own agent" else PLAIN.format(notifier=notifier)
    async with running(tmp_path, program) as (process, port):
        socket = await websocket_connect(f"ws://127.0.0.1:{port}/ws?token={KEY}")
        url = f"http://127.0.0.1:{port}/api/cron/jobs"
        async with httpx2.AsyncClient(headers={"X-API-Key": KEY}, timeout=TIMEOUT_S) as http:
            schedule = {"kind": "interval", "every_ms": 86_400_000}
            body = {"name": "tea", "prompt": "help", "schedule": schedule}
            job = (await http.post(url, json=body)).raise_for_status().json()
            for _ in range(2):
                (await http.post(f"{url}/{job['id']}/run", json={})).raise_for_status()
                frame: dict[str, Any] = {}
                async with asyncio.timeout(TIMEOUT_S):
                    while frame.get("type") != "notification":
                        frame = json.loads(await socket.read_message() or "null")
                name, session_id, text, success = json.loads(await line_of(process, "["))
                assert (name, session_id, success) == ("tea", frame["session_id"], True)
                assert text.startswith(frame["result_preview"].removesuffix("..."))
                assert len(frame["result_preview"]) <= 500
        socket.close()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), TIMEOUT_S) == 0
