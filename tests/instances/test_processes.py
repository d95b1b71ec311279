"""Instances as child gateways: made, used through the parent, killed, adopted, removed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import socket as socket_module
from pathlib import Path
from typing import Any

import dotenv
import httpx2
import psutil
import pytest

from tests.gateway import Gateway

TIMEOUT_S = 20.0


async def until(http: httpx2.AsyncClient, instance_id: str, status: str) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found: dict[str, Any] = (await http.get(f"/api/instances/{instance_id}")).json()
            if found["status"] == status:
                return found
            await asyncio.sleep(0.05)


def pid_of(gateway: Gateway, instance_id: str) -> int:
    return int((gateway.state.paths.agent_home / "instances" / instance_id / "instance.pid").read_text())


async def another(gateway: Gateway, instance_id: str, before: int) -> None:
    """Wait for another process."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            with contextlib.suppress(ValueError):  # it is being written
                if pid_of(gateway, instance_id) != before:
                    return
            await asyncio.sleep(0.05)


@pytest.mark.gen_test(timeout=90)
async def test_an_instance_lives_through_kills_of_its_own_and_the_parents_end(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        made = await gateway.http.post("/api/instances", json={"name": "Bee"})
        assert made.status_code == 201
        one = made.json()["id"]
        try:
            await until(gateway.http, one, "running")
            assert (await gateway.http.post("/api/instances", json={"name": "Bee"})).status_code == 409
            page = await gateway.http.get(f"/i/{one}/api/settings/general")
            assert page.json()["agent_name"] == "Bee"
            socket = await gateway.socket(path=f"/i/{one}/ws?token={gateway.key}")
            await socket.send("ping")
            assert (await socket.next("pong"))["type"] == "pong"
            health = (await gateway.http.get(f"/api/instances/{one[:8]}/health")).json()
            assert health["memory_mb"] > 0
            before = pid_of(gateway, one)
            os.kill(before, signal.SIGKILL)
            await another(gateway, one, before)
            await until(gateway.http, one, "running")
            living = pid_of(gateway, one)
            await gateway.stop()
            os.kill(living, 0)
            await gateway.start()
            await until(gateway.http, one, "running")
            assert pid_of(gateway, one) == living
            assert (await gateway.http.post(f"/api/instances/{one}/pause")).json() == {"status": "paused"}
            assert (await gateway.http.post(f"/api/instances/{one}/pause")).status_code == 409
            assert (await gateway.http.get(f"/i/{one}/")).status_code == 409
            assert (await gateway.http.post(f"/api/instances/{one}/start")).json() == {"status": "started"}
            await until(gateway.http, one, "running")
        finally:
            removed = await gateway.http.delete(f"/api/instances/{one}")
        assert removed.status_code == 204
        lines = (await gateway.http.get("/api/settings/audit?event_type=instance_changed")).json()
        assert [line["detail"] for line in lines] == [
            f"deleted {one}",
            f"started {one}",
            f"paused {one}",
            f"created {one}",
        ]
        assert not (gateway.state.paths.agent_home / "instances" / one).exists()
        assert (await gateway.http.get(f"/api/instances/{one}")).status_code == 404


@pytest.mark.gen_test
async def test_bad_requests_make_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        assert (await gateway.client(key).get("/api/instances")).status_code == 403
        for body in ({"name": "../x"}, {"name": ""}, {"port": 1}, {"secrets": ["NO_SUCH"]}):
            assert (await gateway.http.post("/api/instances", json=body)).status_code == 422
        taken = await gateway.http.post("/api/instances", json={"port": gateway.server.port})
        assert taken.status_code == 409
        assert (await gateway.http.get("/api/instances")).json() == []
        assert (await gateway.http.post("/api/instances/nothing/restart")).status_code == 404


@pytest.mark.gen_test(timeout=60)
async def test_one_that_hangs_is_told_to_admins_and_started_again(tmp_path: Path) -> None:
    settings = {"instances": {"health_interval_secs": 1, "heartbeat_timeout_secs": 2}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        socket = await gateway.socket()
        _, key = await gateway.user()
        other = await gateway.socket(key)
        one = (await gateway.http.post("/api/instances", json={"name": "Bee"})).json()["id"]
        try:
            await socket.next("instance_status_changed", status="running", timeout_s=TIMEOUT_S)
            before = pid_of(gateway, one)
            os.kill(before, signal.SIGSTOP)
            told = await socket.next("instance_status_changed", status="error", timeout_s=TIMEOUT_S)
            assert (told["id"], told["name"]) == (one, "Bee")
            assert "does not answer" in told["error"]
            await socket.next("instance_status_changed", status="running", timeout_s=TIMEOUT_S)
            assert pid_of(gateway, one) != before
            history = (await gateway.http.get(f"/api/instances/{one}/history")).json()
            assert {"running"} <= {point["status"] for point in history}
            assert all(point.keys() == {"timestamp", "status", "cpu_percent", "memory_mb"} for point in history)
            await other.send("ping")
            assert (await other.until())[0]["type"] == "pong"
        finally:
            await gateway.http.delete(f"/api/instances/{one}")


@pytest.mark.gen_test(timeout=60)
async def test_one_whose_port_is_taken_meanwhile_waits_for_it_and_says_so(tmp_path: Path) -> None:
    with socket_module.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    async with Gateway(tmp_path) as gateway:
        one = (await gateway.http.post("/api/instances", json={"port": port})).json()["id"]
        try:
            await until(gateway.http, one, "running")
            assert (await gateway.http.post("/api/instances", json={"port": port})).status_code == 409
            await gateway.http.post(f"/api/instances/{one}/pause")
            with socket_module.socket() as taken:
                taken.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_REUSEADDR, 1)
                taken.bind(("127.0.0.1", port))
                taken.listen()
                refused = await gateway.http.post(f"/api/instances/{one}/start")
                assert (refused.status_code, str(port) in refused.json()["error"]) == (409, True)
                assert str(port) in (await until(gateway.http, one, "error"))["error_message"]
            await until(gateway.http, one, "running")
        finally:
            await gateway.http.delete(f"/api/instances/{one}")


@pytest.mark.gen_test
async def test_what_cannot_be_written_makes_no_instance(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (gateway.state.paths.agent_home / "instances").write_text("in the way")
        answer = await gateway.http.post("/api/instances", json={"name": "Bee"})
        assert answer.status_code == 502
        assert answer.json()["error"] == "The files of the instance cannot be made: Not a directory"
        (gateway.state.paths.agent_home / "instances").unlink()
        assert (await gateway.http.get("/api/instances")).json() == []


@pytest.mark.gen_test(timeout=60)
async def test_only_named_secrets_are_passed_on_and_the_log_can_be_followed(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"instances": {"max_count": 1}}) as gateway:
        for name in ("SHARED_TOKEN", "PRIVATE_TOKEN"):
            await gateway.http.put(f"/api/settings/vault/{name}", json={"value": f"it's \\ {name}"})
        one = (await gateway.http.post("/api/instances", json={"secrets": ["SHARED_TOKEN"]})).json()["id"]
        try:
            await until(gateway.http, one, "running")
            assert (await gateway.http.post("/api/instances", json={})).status_code == 409
            assert (await gateway.http.post(f"/api/instances/{one}/start")).status_code == 409
            environ = str(psutil.Process(pid_of(gateway, one)).environ())
            files = (gateway.state.paths.agent_home / "instances" / one / ".starpod" / ".env").read_text()
            assert "PRIVATE_TOKEN" not in environ + files and gateway.key not in environ + files
            assert dotenv.dotenv_values(stream=io.StringIO(files))["SHARED_TOKEN"] == "it's \\ SHARED_TOKEN"
            async with gateway.http.stream("GET", f"/api/instances/{one}/logs?tail=5&follow=true") as log:
                assert log.headers["Content-Type"].startswith("application/x-ndjson")
                lines = log.aiter_lines()
                assert json.loads(await anext(lines)).keys() == {"timestamp", "level", "message"}
                await gateway.http.post(f"/api/instances/{one}/pause")
                messages = [json.loads(await anext(lines))["message"]]
                while "stopping" not in messages[-1]:
                    messages.append(json.loads(await anext(lines))["message"])
                await gateway.http.delete(f"/api/instances/{one}")
                assert [line async for line in lines] == []  # it ends with the instance
        finally:
            await gateway.http.delete(f"/api/instances/{one}")


@pytest.mark.gen_test(timeout=60)
async def test_an_instance_may_be_deleted_while_it_is_made(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        one = (await gateway.http.post("/api/instances", json={})).json()
        assert one["status"] == "creating"
        assert (await gateway.http.delete(f"/api/instances/{one['id']}")).status_code == 204
        assert (await gateway.http.get("/api/instances")).json() == []
