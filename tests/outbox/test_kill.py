"""A gateway that is killed with SIGKILL: what waited in the outbox arrives after the next start, what had arrived does not come again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.channels.telegram.bot_api import BotApi, Failure
from tests.crash import KEY
from tests.crash_telegram import SENDER, TelegramProcess
from tests.providers.openai_server import OpenAIServer

pytestmark = pytest.mark.gen_test(timeout=60)


async def run_job(gateway: TelegramProcess, name: str) -> None:
    schedule = {"kind": "cron", "expr": "0 12 1 1 *"}
    url = f"http://127.0.0.1:{gateway.port}/api/cron/jobs"
    async with httpx2.AsyncClient(headers={"X-API-Key": KEY}) as client:
        made = await client.post(url, json={"name": name, "prompt": "hello", "schedule": schedule})
        (await client.post(f"{url}/{made.json()['id']}/run")).raise_for_status()


async def until(gateway: TelegramProcess, **counts: int) -> None:
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await gateway.get("/api/outbox"))["counts"]
            if all(found[state] == count for state, count in counts.items()):
                return
            await asyncio.sleep(0.05)


async def test_a_kill_loses_no_delivery_and_repeats_none_that_was_noted(tmp_path: Path) -> None:
    async with BotApi() as telegram:
        with OpenAIServer() as provider:
            gateway = TelegramProcess(tmp_path, f"{provider.url}/v1", telegram.url, "final_only")
            await gateway.start()
            try:
                await gateway.link()
                await run_job(gateway, "first")
                await until(gateway, sent=1)
                telegram.failures["sendMessage"] = Failure(502, "Bad Gateway", times=None)
                await run_job(gateway, "second")
                await until(gateway, sent=1, waiting=1)
                await gateway.kill()
                telegram.drop_polls()
                del telegram.failures["sendMessage"]
                await gateway.start()
                await until(gateway, sent=2, waiting=0)
                assert [text.split("\n")[0] for text in telegram.texts(SENDER)] == ["first", "second"]
            finally:
                await gateway.kill()
