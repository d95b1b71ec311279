"""Instances as child gateways: made, used through the parent, killed, adopted, removed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import httpx2
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
async def test_an_instance_may_be_deleted_while_it_is_made(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        one = (await gateway.http.post("/api/instances", json={})).json()
        assert one["status"] == "creating"
        assert (await gateway.http.delete(f"/api/instances/{one['id']}")).status_code == 204
        assert (await gateway.http.get("/api/instances")).json() == []
