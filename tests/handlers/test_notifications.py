"""Who is told of what: open sockets, the bell, and the caller's own notifier."""

from __future__ import annotations

import asyncio
import socket as sockets
from pathlib import Path
from typing import Any

import pytest

from starpod.cron.service import NewJob
from starpod.cron.types import CronComplete, Interval
from starpod.events import ConfigRejected
from starpod.sessions.types import Viewer
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Fail, script

pytestmark = pytest.mark.gen_test
BELL = "/api/notifications"


async def run(gateway: Gateway, owner: str | None, name: str = "tea") -> None:
    job = await gateway.state.jobs.make(owner, NewJob(name, "make tea", Interval(3_600_000), max_retries=0))
    await gateway.state.jobs.run_now(Viewer(None, True), job.id)
    await gateway.state.scheduler.idle()


async def silence(socket: Any) -> None:
    """Nothing but the answer to a ping comes."""
    await socket.send("ping")
    assert [frame["type"] for frame in await socket.until("pong")] == ["pong"]


async def until_kept(gateway: Gateway, text: str) -> list[dict[str, Any]]:
    """The admin's bell once its newest entry says this."""
    async with asyncio.timeout(20):
        while True:
            found: list[dict[str, Any]] = (await gateway.http.get(BELL)).json()["notifications"]
            if found and found[0]["text"] == text:
                return found
            await asyncio.sleep(0.02)


async def test_only_the_owner_hears_of_a_job_and_only_admins_of_the_agents_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        ann, ann_key = await gateway.user(name="ann")
        _, bob_key = await gateway.user(name="bob")
        admin, of_ann, of_bob = (
            await gateway.socket(), await gateway.socket(ann_key), await gateway.socket(bob_key),
        )  # fmt: skip
        gateway.provider.play(script("ä" * 2000), script("The agent's."), Fail(500))
        await run(gateway, ann.id)
        told = await of_ann.next()
        assert (told["type"], told["job_name"], told["success"]) == ("notification", "tea", True)
        assert len(told["result_preview"]) == 500
        assert told["result_preview"].startswith("ääää")
        await run(gateway, None, "agent's")
        assert (await admin.next())["job_name"] == "agent's"
        await run(gateway, ann.id, "bad")
        failed = await of_ann.next()
        assert (failed["session_id"], failed["success"]) == ("", False)
        for socket in (admin, of_ann, of_bob):
            await silence(socket)
        sessions = (await gateway.client(ann_key).get("/api/sessions?limit=9")).json()
        assert next(each for each in sessions if each["id"] == told["session_id"])["is_read"] is False


async def test_a_socket_that_reads_nothing_delays_no_notice_and_is_let_go(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"websocket": {"outbox_bytes": 65_536}}) as gateway:
        slow = await gateway.socket()
        # Else the kernel takes in megabytes for a reader who does not read.
        slow.stream.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16_384)
        quick = await gateway.socket()
        for number in range(10_000):
            text = f"{number} ".ljust(500, "x")
            gateway.state.events.publish(CronComplete("j", f"r{number}", f"job {number}", "s", text, True, None, text))
            if number % 50 == 0:
                # Nobody else's notice waits for what the slow one has not read.
                assert (await quick.next("notification", job_name=f"job {number}"))["result_preview"] == text
        _, closed = await slow.rest()
        assert closed.code == 1013
        await quick.next("notification", job_name="job 9999")


async def test_the_bell_keeps_what_nobody_was_there_to_hear(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        ann, key = await gateway.user(name="ann")
        http = gateway.client(key)
        gateway.provider.play(script("First."), script("Second."))
        await run(gateway, ann.id, "one")
        await run(gateway, ann.id, "two")
        await gateway.stop()
        await gateway.start()
        http = gateway.client(key)
        answer = (await http.get(BELL)).json()
        assert answer["unread"] == 2
        newest, oldest = answer["notifications"]
        assert (newest["title"], newest["text"], newest["kind"], newest["is_read"]) == (
            "two", "Second.", "cron_complete", False,
        )  # fmt: skip
        page = (await http.get(f"{BELL}?limit=1&before={newest['id']}")).json()
        assert page["notifications"] == [oldest]
        assert (await http.post(f"{BELL}/read", json={"ids": [newest["id"]]})).json() == {"ok": True, "unread": 1}
        assert (await gateway.http.get(BELL)).json() == {"notifications": [], "unread": 0}
        # Somebody else's ids change nothing.
        await gateway.http.post(f"{BELL}/read", json={"ids": [oldest["id"]]})
        assert (await http.get(BELL)).json()["unread"] == 1
        assert (await http.post(f"{BELL}/read", json={})).json()["unread"] == 0
        for bad in ({"ids": "x"}, {"ids": [-1]}, {"ids": [2**70]}, {"ids": [0] * 201}):
            assert (await http.post(f"{BELL}/read", json=bad)).status_code == 422
        for query in ("limit=0", "limit=x", "before=x", "limit=1000000"):
            assert (await http.get(f"{BELL}?{query}")).status_code in (400, 422)


async def test_admins_find_config_problems_at_the_bell(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        socket = await gateway.socket()
        gateway.state.events.publish(ConfigRejected("agent.toml, line 3: no", "agent.toml", 3))
        assert (await socket.next())["type"] == "config_rejected"
        found = await until_kept(gateway, "agent.toml, line 3: no")
        assert (found[0]["kind"], found[0]["title"]) == ("config_rejected", "agent.toml cannot be used")
        assert (await gateway.client(key).get(BELL)).json()["notifications"] == []


async def test_two_hundred_are_kept(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for number in range(205):
            gateway.state.events.publish(ConfigRejected(f"problem {number}"))
        await until_kept(gateway, "problem 204")
        texts = [each["text"] for each in (await gateway.http.get(f"{BELL}?limit=200")).json()["notifications"]]
        assert texts == [f"problem {number}" for number in range(204, 4, -1)]


async def test_a_failing_or_hanging_notifier_stops_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        heard: list[tuple[str, str, str, bool]] = []
        enough = asyncio.Event()

        def blocking(name: str, session_id: str, text: str, success: bool) -> None:
            heard.append((name, session_id, text, success))
            raise RuntimeError("the notifier's own mistake")

        async def hanging(*given: Any) -> None:
            enough.set()
            await asyncio.Event().wait()

        gateway.state.notify(blocking)
        gateway.state.notify(hanging)
        socket = await gateway.socket()
        for number in range(3):
            event = CronComplete("j", f"r{number}", f"job {number}", "s", "x" * 500, True, None, "x" * 900)
            gateway.state.events.publish(event)
            assert (await socket.next("notification"))["job_name"] == f"job {number}"
        await asyncio.wait_for(enough.wait(), 10)
        async with asyncio.timeout(10):
            while len(heard) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert heard[0] == ("job 0", "s", "x" * 900, True)
