"""What systemd is told: when the gateway is ready, alive and stopping; and that a stopping one is no longer ready."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from starpod.supervisor import Supervisor
from tests.bench.processes import free_port
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script

TIMEOUT_S = 30.0


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[socket.socket]:
    """Where the gateway's notices arrive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(TIMEOUT_S)
        yield receiver


def test_systemd_hears_ready_alive_and_stopping(tmp_path: Path, notices: socket.socket) -> None:
    agent = tmp_path / "agent"
    agent.mkdir()
    environ = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    port = str(free_port())
    process = subprocess.Popen(
        [sys.executable, "-m", "starpod.server", "--dir", str(agent), "--port", port],
        env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert notices.recv(1000).startswith(b"READY=1\n")
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_S)
        connection.request("GET", "/api/health/ready")
        assert connection.getresponse().status == 200
        connection.close()
        assert notices.recv(1000) == b"WATCHDOG=1"
        process.send_signal(signal.SIGTERM)
        while (said := notices.recv(1000)) == b"WATCHDOG=1":
            pass
        assert said.startswith(b"STOPPING=1\n")
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()


def test_a_watchdog_for_another_process_is_not_answered(tmp_path: Path, notices: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    supervisor = Supervisor(environ)
    supervisor.alive()
    supervisor.ready("x")
    assert notices.recv(1000).startswith(b"READY=1")


def test_nothing_is_told_where_nobody_listens(tmp_path: Path) -> None:
    Supervisor({}).ready("x")
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")


@pytest.mark.gen_test
async def test_a_gateway_that_stops_is_not_ready_while_its_turns_finish(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"shutdown_grace_s": 20.0}) as gateway:
        gateway.provider.play(script("Half", Wait(gate), " and half."))
        assert (await gateway.http.get("/api/health/ready")).status_code == 200
        socket_ = await gateway.socket()
        await socket_.send("message", text="go", channel_session_key="a")
        await socket_.next("text_delta")
        stopping = asyncio.ensure_future(gateway.stop())
        assert (await socket_.closed()).code == 1001
        # On the connection that is open already; new ones are not taken.
        answer = await gateway.http.get("/api/health/ready")
        assert (answer.status_code, json.loads(answer.content)["checks"]["stopping"]) == (503, True)
        gate.open()
        await stopping
