"""What must arrive outside arrives: through troubles, restarts and refusals, once, and visibly when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from starpod.auth.types import User
from starpod.outbox import service, store
from starpod.outbox.service import Outbox
from starpod.outbox.types import Message, RetryLater, Undeliverable
from tests.channels.telegram.bot_api import Failure
from tests.channels.telegram.support import chatting, settled
from tests.fakes import FakeClock
from tests.gateway import TIMEOUT_S, Gateway

pytestmark = pytest.mark.gen_test

NOON = {"kind": "cron", "expr": "0 12 1 1 *"}


async def run_job(gateway: Gateway, key: str, name: str, prompt: str) -> None:
    client = gateway.client(key)
    job = (await client.post("/api/cron/jobs", json={"name": name, "prompt": prompt, "schedule": NOON})).json()
    assert (await client.post(f"/api/cron/jobs/{job['id']}/run")).status_code in (200, 202)


async def key_of(gateway: Gateway, user: User) -> str:
    return (await gateway.state.auth.create_key(user.id))[1]


async def deliveries(gateway: Gateway, state: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gateway.http.get(f"/api/outbox?state={state}")).json()["deliveries"]
    return found


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds of what the gateway answers."""
    async with asyncio.timeout(TIMEOUT_S):
        while not await holds():  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.02)


async def until(gateway: Gateway, state: str) -> list[dict[str, Any]]:
    async def holds() -> bool:
        return bool(await deliveries(gateway, state))

    await eventually(holds)
    return await deliveries(gateway, state)


async def titles(client: httpx2.AsyncClient) -> list[str]:
    return [each["title"] for each in (await client.get("/api/notifications")).json()["notifications"]]


async def test_the_result_of_a_job_arrives_whole_at_its_owner(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, user):
        await run_job(gateway, await key_of(gateway, user), "bins", "help")
        (text,) = await telegram.said()
        assert text.startswith("bins\n\n") and len(text) > 100
        (sent,) = await until(gateway, "sent")
        assert (sent["user_id"], sent["title"], sent["text"], sent["attempts"]) == (user.id, "bins", "", 1)
        other = gateway.client((await gateway.user(name="Bob"))[1])
        assert (await other.get("/api/outbox")).json() == {
            "deliveries": [],
            "counts": {"waiting": 0, "sending": 0, "sent": 0, "dead": 0},
        }
        assert (await other.post(f"/api/outbox/{sent['id']}/retry")).status_code == 404
        assert (await other.delete(f"/api/outbox/{sent['id']}")).status_code == 404


async def test_what_telegram_refuses_for_good_is_shown_and_can_be_tried_again(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, user):
        telegram.failures["sendMessage"] = Failure(403, "Forbidden: bot was blocked by the user", times=None)
        await run_job(gateway, await key_of(gateway, user), "bins", "hello")
        (dead,) = await until(gateway, "dead")
        assert "blocked" in dead["error"] and dead["text"]
        own = gateway.client(await key_of(gateway, user))

        async def is_told() -> bool:
            return (await titles(own))[0] == "Telegram messages do not arrive"

        await eventually(is_told)
        del telegram.failures["sendMessage"]
        assert (await own.post(f"/api/outbox/{dead['id']}/retry")).status_code == 200
        await telegram.said()
        await until(gateway, "sent")

        async def is_well() -> bool:
            return (await titles(own))[0] == "Telegram messages arrive again"

        await eventually(is_well)
        assert (await titles(own)).count("Telegram messages do not arrive") == 1


async def test_what_waits_when_the_gateway_stops_leaves_after_the_next_start(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, user):
        telegram.failures["sendMessage"] = Failure(502, "Bad Gateway", times=None)
        await run_job(gateway, await key_of(gateway, user), "bins", "hello")
        (waiting,) = await until(gateway, "waiting")
        await gateway.stop()
        del telegram.failures["sendMessage"]
        await gateway.start()
        assert len(await telegram.said()) == 1
        (sent,) = await until(gateway, "sent")
        assert sent["id"] == waiting["id"]


async def test_what_came_in_an_hour_without_network_arrives_once_when_it_is_back(tmp_path: Path) -> None:
    clock = FakeClock()
    async with chatting(tmp_path, clock=clock) as (telegram, gateway, user):
        await telegram.stop()
        key = await key_of(gateway, user)
        await run_job(gateway, key, "bins", "hello")
        await run_job(gateway, key, "tea", "hello")
        await settled(gateway, "failing")
        for _ in range(6):
            clock.advance(600)
            gateway.state.outbox.wake()
            await until(gateway, "waiting")
        own = gateway.client(key)

        async def is_told() -> bool:
            return (await titles(own)).count("tea") == 1

        await eventually(is_told)
        assert await deliveries(gateway, "sent") == [] and await deliveries(gateway, "dead") == []
        telegram.write("/help")
        await telegram.start()
        # Neither waits for the time at which it would have been tried again.
        texts = await telegram.said(count=3)
        assert [sum(text.startswith(name) for text in texts) for name in ("bins", "tea", "Write")] == [1, 1, 1]


async def test_nothing_is_kept_for_a_channel_that_is_off_or_a_person_without_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (telegram, gateway, user):
        _, stranger = await gateway.user(name="Bob")
        await run_job(gateway, stranger, "theirs", "hello")
        await gateway.http.put("/api/settings/channels", json={"telegram": {"enabled": False}})
        await settled(gateway, "off")
        await run_job(gateway, await key_of(gateway, user), "mine", "hello")
        own = gateway.client(await key_of(gateway, user))

        async def is_done() -> bool:
            return await titles(own) == ["mine"]

        await eventually(is_done)
        counts = (await gateway.http.get("/api/outbox")).json()["counts"]
        assert counts == {"waiting": 0, "sending": 0, "sent": 0, "dead": 0} and telegram.texts() == []


class Channel:
    """A channel that does as it is told: `plan` holds what each call raises, None for success."""

    def __init__(self) -> None:
        self.plan: list[Exception | None] = []
        self.texts: list[str] = []
        self.calls = 0

    async def send(self, user_id: str, text: str) -> None:
        self.calls += 1
        error = self.plan.pop(0) if self.plan else None
        if error is not None:
            raise error
        self.texts.append(text)


class Bench:
    """An outbox of its own on a gateway's database, with a clock that the test moves."""

    def __init__(self, gateway: Gateway, clock: FakeClock, user: User) -> None:
        self.told: list[tuple[str, bool, str]] = []
        self.channel = Channel()
        self.clock = clock
        self.user = user
        self.outbox = Outbox(gateway.state.database, clock, self._tell)
        self._database = gateway.state.database

    async def _tell(self, channel: str, user_id: str, is_failing: bool, reason: str) -> None:
        self.told.append((user_id, is_failing, reason))

    async def put(self, number: int) -> None:
        message = Message(f"t{number}", f"text {number}", f"source-{number}")
        now = self.clock.now().timestamp()
        assert await self._database.run(store.add, message, self.user.id, now) == 1

    async def calls(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while self.channel.calls < count or self.outbox._sending:  # noqa: ASYNC110 - nobody tells when
                await asyncio.sleep(0.01)

    async def after(self, seconds: float, calls: int) -> None:
        self.clock.advance(seconds)
        self.outbox.wake()
        await self.calls(calls)


async def made(gateway: Gateway) -> Bench:
    user, _ = await gateway.user(name="Ann")
    await gateway.state.auth.links.set(user.id, 7, None)
    bench = Bench(gateway, FakeClock(), user)
    await bench.outbox.register("telegram", bench.channel.send)
    return bench


async def test_a_failing_channel_is_tried_ever_later_told_once_and_told_once_when_it_works(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        bench.channel.plan = [ConnectionError("x")] * 5
        await bench.put(1)
        bench.outbox.wake()
        await bench.calls(1)
        for calls, wait_s in enumerate((6.5, 19, 55, 165), start=2):
            await bench.after(wait_s * 0.5, calls - 1)
            assert bench.channel.calls == calls - 1, "too early"
            await bench.after(wait_s * 0.5, calls)
        assert bench.told == [("", True, "internal error (ConnectionError)")]
        await bench.put(2)
        await bench.after(600, 6)
        await bench.calls(7)
        assert bench.channel.texts == ["text 1", "text 2"]
        assert bench.told[1:] == [("", False, "")]
        await bench.outbox.close()


async def test_a_channel_that_asks_for_rest_gets_it(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        bench.channel.plan = [RetryLater("slow down", 40.0)]
        await bench.put(1)
        bench.outbox.wake()
        await bench.calls(1)
        await bench.put(2)
        await bench.after(39, 1)
        assert bench.channel.calls == 1
        await bench.after(2, 3)
        assert bench.channel.texts == ["text 1", "text 2"] and bench.told == []
        await bench.outbox.close()


async def test_an_hour_without_network_loses_nothing_and_a_day_is_given_up(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        bench.channel.plan = [OSError("no network")] * 100
        await bench.put(1)
        bench.outbox.wake()
        await bench.calls(1)
        calls = 1
        for _ in range(10):
            before = bench.channel.calls
            await bench.after(service.LONGEST_WAIT_S * 1.25, before + 1)
            calls = bench.channel.calls
        assert calls == 11 and bench.channel.texts == []
        (waiting,) = await deliveries(gateway, "waiting")
        assert waiting["attempts"] == 11
        bench.channel.plan = []
        await bench.after(service.LONGEST_WAIT_S * 1.25, 12)
        assert bench.channel.texts == ["text 1"]
        bench.channel.plan = [OSError("no network")] * 100
        await bench.put(2)
        await bench.after(0, 13)
        await bench.after(service.OLDEST_S + 1, 14)
        (dead,) = await deliveries(gateway, "dead")
        assert dead["error"].startswith("given up after a day") and dead["title"] == "t2"
        await bench.outbox.close()


async def test_a_text_whose_sender_died_is_sent_by_the_next_and_never_by_two_at_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        arrived = asyncio.Event()

        async def hang(user_id: str, text: str) -> None:
            arrived.set()
            await asyncio.Event().wait()

        await bench.outbox.register("telegram", hang)
        await bench.put(1)
        await bench.put(2)
        bench.outbox.wake()
        await asyncio.wait_for(arrived.wait(), TIMEOUT_S)
        await bench.outbox.close(grace_s=0)
        following = Outbox(gateway.state.database, bench.clock, bench._tell)
        await following.register("telegram", bench.channel.send)
        await asyncio.sleep(0.1)
        assert bench.channel.calls == 0
        bench.clock.advance(service.LEASE_S + 1)
        following.wake()
        await bench.calls(2)
        assert bench.channel.texts == ["text 1", "text 2"]
        await following.close()


async def test_texts_behind_one_that_waits_wake_nobody(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        bench.channel.plan = [OSError("no network")]
        await bench.put(1)
        await bench.put(2)
        bench.outbox.wake()
        await bench.calls(1)
        due = await gateway.state.database.read(store.next_due, ["telegram"])
        assert due is not None and due > bench.clock.now().timestamp(), "the second text cannot leave before the first"
        await bench.outbox.close()


async def test_a_stop_lets_arrive_what_is_being_sent_and_it_is_not_sent_again(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        begun, may_end = asyncio.Event(), asyncio.Event()

        async def slow(user_id: str, text: str) -> None:
            begun.set()
            await may_end.wait()

        await bench.outbox.register("telegram", slow)
        await bench.put(1)
        await bench.put(2)
        bench.outbox.wake()
        await asyncio.wait_for(begun.wait(), TIMEOUT_S)
        closing = asyncio.ensure_future(bench.outbox.close(grace_s=TIMEOUT_S))
        await asyncio.sleep(0)
        may_end.set()
        await asyncio.wait_for(closing, TIMEOUT_S)
        assert [each["title"] for each in await deliveries(gateway, "sent")] == ["t1"]
        following = Outbox(gateway.state.database, bench.clock, bench._tell)
        await following.register("telegram", bench.channel.send)
        await bench.calls(1)
        assert bench.channel.texts == ["text 2"]
        await following.close()


async def test_a_clock_that_jumps_ahead_sends_nothing_twice(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        begun, may_end, calls = asyncio.Event(), asyncio.Event(), []

        async def slow(user_id: str, text: str) -> None:
            calls.append(text)
            begun.set()
            await may_end.wait()

        await bench.outbox.register("telegram", slow)
        await bench.put(1)
        bench.outbox.wake()
        await asyncio.wait_for(begun.wait(), TIMEOUT_S)
        bench.clock.advance(service.LEASE_S + 1)
        bench.outbox.wake()
        await until(gateway, "sending")
        await asyncio.sleep(0.1)
        may_end.set()
        await until(gateway, "sent")
        assert calls == ["text 1"]
        await bench.outbox.close()


async def test_a_clock_that_is_set_back_keeps_nothing_waiting(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        bench.clock.set_by(365 * 86_400)
        bench.channel.plan = [OSError("no network")]
        await bench.put(1)
        bench.outbox.wake()
        await bench.calls(1)
        bench.clock.set_by(-365 * 86_400)
        await bench.after(0, 2)
        assert bench.channel.texts == ["text 1"]
        await bench.outbox.close()


async def test_a_person_out_of_reach_delays_nobody_else(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bench = await made(gateway)
        bench.channel.plan = [Undeliverable("blocked")]
        await bench.put(1)
        await bench.put(2)
        bench.outbox.wake()
        await bench.calls(2)
        assert bench.channel.texts == ["text 2"]
        assert bench.told == [(bench.user.id, True, "blocked"), (bench.user.id, False, "")]
        await bench.outbox.close()


async def test_a_question_about_the_outbox_that_makes_no_sense_is_told_so(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for query in ("state=lost", "limit=0", "limit=x", "before=x"):
            assert (await gateway.http.get(f"/api/outbox?{query}")).status_code == 400, query
        assert (await gateway.http.post("/api/outbox/7/retry")).status_code == 404
        assert (await gateway.http.post("/api/outbox/x/retry")).status_code == 404
        assert (await gateway.http.delete("/api/outbox/999999999999999999")).status_code == 404
