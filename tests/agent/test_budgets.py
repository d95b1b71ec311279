"""Budgets around real turns: what is refused, what waits, what is told, and that fifty turns at once cannot overshoot."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from starpod.agent import store
from starpod.agent.types import UsageRow
from starpod.usage.budgets import bounds
from tests.fakes import FakeClock
from tests.gateway import Gateway, Socket, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Usage, Wait, script

pytestmark = pytest.mark.gen_test
NOW = datetime(2026, 3, 31, 21, 30, tzinfo=UTC)
# With these prices, an answer of a thousand tokens costs a dollar.
PRICES = "[local.models.m]\ninput = 0\noutput = 1000\n"
DOLLAR = Usage(input=10, output=1000)


def gateway_with(folder: Path, clock: FakeClock | None = None, **budget: float) -> Gateway:
    config = folder / ".starpod" / "config"
    config.mkdir(parents=True)
    (config / "agent.toml").touch()
    (config / "models.toml").write_text(PRICES)
    settings: dict[str, Any] = {"budget": budget, "max_tokens": 1000, "timezone": "Europe/Berlin"}
    return Gateway(folder, OpenAIServer(), settings=settings, clock=clock or FakeClock(NOW))


async def ask(gateway: Gateway, socket: Socket, number: int = 0) -> dict[str, Any]:
    frames = await socket.say("hi", session=f"s{number}")
    return frames[-1]


async def spent(gateway: Gateway) -> float:
    return float((await gateway.http.get("/api/settings/costs")).json()["total_cost_usd"])


@pytest.mark.parametrize(
    ("budget", "limit", "reset"),
    [
        ({"user_daily_usd": 2}, "The daily budget ($2.00)", "2026-04-01 at 00:00 (Europe/Berlin)"),
        ({"user_monthly_usd": 2}, "The monthly budget ($2.00)", "2026-04-01 at 00:00 (Europe/Berlin)"),
        (
            {"total_daily_usd": 2},
            "The daily budget of the whole gateway ($2.00)",
            "2026-04-01 at 00:00 (Europe/Berlin)",
        ),
    ],
)
async def test_a_used_up_budget_refuses_and_says_until_when(
    tmp_path: Path, budget: dict[str, float], limit: str, reset: str
) -> None:
    clock = FakeClock(NOW)
    async with gateway_with(tmp_path, clock, **budget) as gateway:
        gateway.provider.play(*[script("Yes.", DOLLAR)] * 3)
        socket = await gateway.socket()
        for number in range(2):
            assert not (await ask(gateway, socket, number))["is_error"]
        refused = await ask(gateway, socket)
        assert refused["is_error"]
        assert refused["errors"] == [f"{limit} is used up: $2.00 spent. It resets on {reset}; an admin can raise it."]
        assert len(gateway.provider.requests) == 2
        answer = await gateway.http.post("/api/chat", json={"text": "hi"})
        assert answer.status_code == 402
        assert limit in answer.json()["error"]
        messages = (await gateway.http.get(f"/api/sessions/{answer.json()['session_id']}/messages")).json()
        assert [row["content"] for row in messages] == ["hi"]
        clock.advance(3600)
        assert not (await ask(gateway, socket))["is_error"]


async def test_fifty_turns_at_once_never_overshoot(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, user_daily_usd=10.5) as gateway:
        gateway.provider.play(*[script("Yes.", DOLLAR)] * 50)
        sockets = [await gateway.socket() for _ in range(50)]
        ends = await asyncio.gather(*(ask(gateway, socket, number) for number, socket in enumerate(sockets)))
        answered = [end for end in ends if not end["is_error"]]
        assert len(answered) == len(gateway.provider.requests) == 11
        assert await spent(gateway) == 11.0
        assert all("is used up" in end["errors"][0] for end in ends if end["is_error"])


async def test_a_call_waits_for_what_is_set_aside_and_not_for_ever(tmp_path: Path) -> None:
    gate = Gate()
    async with gateway_with(tmp_path, user_daily_usd=1.5) as gateway:
        gateway.provider.play(script("One.", Wait(gate), Usage(output=100)), script("Two.", DOLLAR))
        first, second = await gateway.socket(), await gateway.socket()
        await first.send("message", text="hi", channel_session_key="a")
        await first.next("text_delta")
        await second.send("message", text="hi", channel_session_key="b")
        await second.next("stream_start")
        standing = (await gateway.http.get("/api/budget")).json()["limits"][0]
        assert (standing["reserved_usd"], standing["spent_usd"]) == (1.0, 0.0)
        assert len(gateway.provider.requests) == 1
        gate.open()
        await first.until("stream_end")
        assert said(await second.until("stream_end")) == "Two."
        assert await spent(gateway) == pytest.approx(1.1)
        standing = (await gateway.http.get("/api/budget")).json()["limits"][0]
        assert (standing["reserved_usd"], standing["remaining_usd"]) == (0.0, pytest.approx(0.4))


async def test_a_stopped_turn_gives_back_what_it_had_set_aside(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, user_daily_usd=1.5) as gateway:
        gateway.provider.play(script("One.", Wait(Gate())), script("Two.", Usage(output=100)))
        first, second = await gateway.socket(), await gateway.socket()
        await first.send("message", text="hi", channel_session_key="a")
        await first.next("text_delta")
        await second.send("message", text="hi", channel_session_key="b")
        started = await second.next("stream_start")
        await second.send("cancel", session_id=started["session_id"])
        assert (await second.next("stream_end"))["stopped"]
        running = (await gateway.http.get("/api/sessions")).json()
        for session in running:
            await gateway.http.post(f"/api/sessions/{session['id']}/stop", json={})
        await first.next("stream_end")
        assert said(await second.say("hi", session="c")) == "Two."
        assert (await gateway.http.get("/api/budget")).json()["limits"][0]["reserved_usd"] == 0.0


async def test_every_call_of_a_turn_counts_and_the_budget_ends_it_in_the_middle(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, user_daily_usd=1) as gateway:
        gateway.provider.play(script("Looking.", CallTool("FileList"), DOLLAR), script("Never.", DOLLAR))
        frames = await (await gateway.socket()).say("hi")
        assert said(frames) == "Looking."
        assert "is used up" in frames[-1]["errors"][0]
        assert len(gateway.provider.requests) == 1


async def test_notices_come_once_a_level_to_the_user_and_to_admins(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, user_daily_usd=10) as gateway:
        gateway.provider.play(*[script("Yes.", Usage(output=tokens)) for tokens in (4000, 1500, 100, 2500, 2500)])
        user, key = await gateway.user()
        _, other_key = await gateway.user(name="other")
        mine, admin, other = await gateway.socket(key), await gateway.socket(), await gateway.socket(other_key)
        for number in range(5):
            await ask(gateway, mine, number)
        levels = []
        for _ in range(3):
            notice = await mine.next("budget_notice") if not levels else await admin.next("budget_notice")
            levels.append(notice["level"])
        assert notice["subject"] == user.id
        assert "of the daily budget ($10.00) is used" in notice["text"]
        await other.send("ping")
        assert [frame["type"] for frame in await other.until("pong")] == ["pong"]


async def test_a_free_model_answers_when_the_budget_is_gone(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"budget": {"user_daily_usd": 0, "total_monthly_usd": 0}}) as gateway:
        assert not (await (await gateway.socket()).say("hello"))[-1]["is_error"]


async def test_a_jobs_budget_counts_its_own_sessions_only(tmp_path: Path) -> None:
    async with gateway_with(tmp_path, job_daily_usd=1.0) as gateway:
        budgets, database = gateway.state.budgets, gateway.state.database

        def began(connection: Any) -> None:
            connection.execute_sql(
                "INSERT INTO session_metadata (id, created_at, last_message_at, triggered_by) VALUES ('j', '', '', 'digest')"
            )

        await database.run(began)
        usage = UsageRow(0, 1000, 0, 0, 1.0, False, "chat", "local", "m")
        await database.run(store.add_usage, "j", None, usage, 1, NOW)
        await database.run(store.add_usage, "another", None, usage, 1, NOW)
        with pytest.raises(Exception, match="of the job 'digest'"):
            await budgets.reserve("admin", "digest", 0.1)
        budgets.release(await budgets.reserve("admin", "news", 0.1))
        budgets.release(await budgets.reserve("admin", None, 0.1))


@pytest.mark.parametrize(
    ("period", "now", "starts", "resets"),
    [
        ("day", "2026-03-29T12:00+00:00", "2026-03-28T23:00+00:00", "2026-03-29T22:00+00:00"),
        ("day", "2026-10-25T12:00+00:00", "2026-10-24T22:00+00:00", "2026-10-25T23:00+00:00"),
        ("month", "2026-03-31T21:59+00:00", "2026-02-28T23:00+00:00", "2026-03-31T22:00+00:00"),
        ("month", "2026-12-31T22:59+00:00", "2026-11-30T23:00+00:00", "2026-12-31T23:00+00:00"),
    ],
)
async def test_days_and_months_begin_where_the_zone_says(period: Any, now: str, starts: str, resets: str) -> None:
    found = bounds(period, datetime.fromisoformat(now), ZoneInfo("Europe/Berlin"))
    assert found == (datetime.fromisoformat(starts), datetime.fromisoformat(resets))
