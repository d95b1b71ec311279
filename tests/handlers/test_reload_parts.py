"""Each part of a running gateway that holds a setting follows when it is changed, without a restart and on open sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import TIMEOUT_S, Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script

pytestmark = pytest.mark.gen_test


async def change(gateway: Gateway, section: str, **fields: Any) -> None:
    shown = (await gateway.http.get(f"/api/settings/{section}")).json()
    assert (await gateway.http.put(f"/api/settings/{section}", json=shown | fields)).status_code == 200


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)


async def test_an_open_socket_follows_the_follow_up_mode(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"followup_mode": "inject"}) as gateway:
        gateway.provider.play(script(Wait(gate), "one"), script("two"))
        socket = await gateway.socket()
        await change(gateway, "general", followup_mode="queue")
        for text in ("a", "b"):
            await socket.send("message", text=text, channel_session_key="s", client_message_id=text)
            await socket.next("accepted")
        gate.open()
        # Injected, it would have been answered within the first turn.
        assert [said(await socket.until("stream_end")) for _ in range(2)] == ["one", "two"]


async def test_a_job_that_waits_starts_when_more_may_run(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"cron": {"max_concurrent_runs": 1}}) as gateway:
        gateway.provider.play(script(Wait(gate), "done"), script(Wait(gate), "done"))
        at = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
        for name in ("first", "second"):
            body = {"name": name, "prompt": "go", "schedule": {"kind": "one_shot", "at": at}}
            assert (await gateway.http.post("/api/cron/jobs", json=body)).status_code == 201
        running = gateway.state.scheduler

        async def counts(number: int) -> bool:
            return running.running_count == number and len(gateway.provider.requests) == number

        await until(lambda: counts(1))
        await gateway.state.scheduler.tick()
        assert await counts(1)
        await change(gateway, "cron", max_concurrent_runs=2)
        await until(lambda: counts(2))
        gate.open()
        await running.idle()


async def test_a_job_without_a_zone_moves_with_the_time_zone(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"timezone": "Europe/Berlin"}) as gateway:
        body = {"name": "tea", "prompt": "go", "schedule": {"kind": "cron", "expr": "0 9 1 1 *"}}
        job = (await gateway.http.post("/api/cron/jobs", json=body)).json()
        await change(gateway, "general", timezone="Asia/Tokyo")

        async def has_moved() -> bool:
            (now,) = (await gateway.http.get("/api/cron/jobs")).json()
            return bool(now["next_run_at"] == job["next_run_at"] - 8 * 3600)

        await until(has_moved)


async def test_memory_is_cut_anew_when_its_pieces_have_another_size(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        lines = [f"line {number} of the long story" for number in range(60)] + ["the zebra is asleep"]
        await gateway.http.put("/api/settings/files/SOUL.md", json={"content": "\n".join(lines)})

        async def lines_found() -> int:
            found = (await gateway.http.get("/api/memory/search?q=zebra")).json()
            return found[0]["line_end"] - found[0]["line_start"] + 1 if found else 0

        async def is_cut(least: int, most: int) -> bool:
            return least <= await lines_found() <= most

        await until(lambda: is_cut(30, 61))
        await change(gateway, "memory", chunk_size=200, chunk_overlap=0)
        await until(lambda: is_cut(1, 12))
