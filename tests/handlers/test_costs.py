"""The cost routes on a real gateway: exact sums, days of any time zone, and rows that make no sense."""

from __future__ import annotations

import csv
import io
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from starpod.agent import store
from starpod.agent.types import UsageRow
from tests.fakes import FakeClock
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Usage, script

pytestmark = pytest.mark.gen_test
COSTS = "/api/settings/costs"
NOW = datetime(2026, 4, 2, 12, 7, 30, tzinfo=UTC)
SUMS = (
    "total_cost_usd",
    "total_input_tokens",
    "total_output_tokens",
    "total_cache_read",
    "total_cache_write",
    "total_turns",
)


async def book(
    gateway: Gateway, at: datetime, cost: float, *, model: str = "gpt-4o", session: str | None = None, user: str = "ada"
) -> None:
    usage = UsageRow(10, 5, 3, 2, cost, False, "chat", "openai", model)
    await gateway.state.database.run(store.add_usage, session, None, usage, 1, at, user)


async def overview(gateway: Gateway, **query: str) -> Any:
    answer = await gateway.http.get(COSTS, params=query)
    assert answer.status_code == 200
    return answer.json()


async def test_an_empty_gateway_has_cost_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for period in ("7d", "all"):
            body = await overview(gateway, period=period)
            assert {name: body[name] for name in SUMS} == dict.fromkeys(SUMS, 0)
            assert all(
                body[name] == [] for name in ("by_user", "by_model", "by_day", "by_tool", "by_session", "by_job")
            )


async def test_sums_by_user_model_and_day(tmp_path: Path) -> None:
    async with Gateway(tmp_path, clock=FakeClock(NOW)) as gateway:
        await book(gateway, NOW - timedelta(days=1), 1.0, session="s1")
        await book(gateway, NOW - timedelta(hours=1), 2.0, model="gpt-5", user="bob", session="s2")
        await book(gateway, NOW - timedelta(hours=1), 0.25, model="", session="s1")
        body = await overview(gateway)
        assert {name: body[name] for name in SUMS} == dict(zip(SUMS, (3.25, 45, 15, 9, 6, 3), strict=True))
        assert [(each["user_id"], each["total_cost_usd"]) for each in body["by_user"]] == [("bob", 2.0), ("ada", 1.25)]
        assert [(each["model"], each["total_turns"]) for each in body["by_model"]] == [
            ("gpt-5", 1),
            ("gpt-4o", 1),
            ("unknown", 1),
        ]
        assert set(body["by_model"][0]) == {"model", *SUMS}
        assert body["by_day"] == [
            {"date": "2026-04-01", "by_model": [{"model": "gpt-4o", "cost_usd": 1.0}], "total_cost_usd": 1.0},
            {
                "date": "2026-04-02",
                "by_model": [{"model": "gpt-5", "cost_usd": 2.0}, {"model": "unknown", "cost_usd": 0.25}],
                "total_cost_usd": 2.25,
            },
        ]
        assert [(each["session_id"], each["total_cost_usd"]) for each in body["by_session"]] == [
            ("s2", 2.0),
            ("s1", 1.25),
        ]


@pytest.mark.parametrize("period", ["7d", "30d", "90d"])
async def test_a_period_begins_to_the_second_and_the_one_before_ends_there(tmp_path: Path, period: str) -> None:
    days = timedelta(days=int(period[:-1]))
    second = timedelta(seconds=1)
    async with Gateway(tmp_path, clock=FakeClock(NOW)) as gateway:
        await book(gateway, NOW - days, 1.0, session="in")
        await book(gateway, NOW - days - second, 10.0, session="before")
        await book(gateway, NOW - 2 * days, 100.0, session="before")
        await book(gateway, NOW - 2 * days - second, 1000.0, session="older")
        body = await overview(gateway, period=period)
        assert (body["total_cost_usd"], body["previous"]["total_cost_usd"]) == (1.0, 110.0)
        assert [each["session_id"] for each in body["by_session"]] == ["in"]
        assert body["by_user"][0]["total_cost_usd"] == 1.0
        assert [day["total_cost_usd"] for day in body["by_day"]] == [1.0]
        everything = await overview(gateway, period="all")
        assert (everything["total_cost_usd"], everything["previous"]) == (1111.0, None)


@pytest.mark.parametrize("period", ["", "31d", "0d", "-7d", "7D", "1e9d", "all;", "\u0667d", "x" * 5000])
async def test_an_unknown_period_is_thirty_days(tmp_path: Path, period: str) -> None:
    async with Gateway(tmp_path, clock=FakeClock(NOW)) as gateway:
        await book(gateway, NOW - timedelta(days=29), 1.0)
        await book(gateway, NOW - timedelta(days=31), 10.0)
        body = await overview(gateway, period=period)
        assert (body["period"], body["total_cost_usd"]) == ("30d", 1.0)


@pytest.mark.parametrize(
    ("zone", "at", "date"),
    [
        ("UTC", "2026-03-29T22:30:00+00:00", "2026-03-29"),
        ("Europe/Berlin", "2026-03-28T22:59:59+00:00", "2026-03-28"),
        ("Europe/Berlin", "2026-03-28T23:00:00+00:00", "2026-03-29"),
        # Clocks went forward that night: the next day begins an hour earlier in UTC.
        ("Europe/Berlin", "2026-03-29T21:59:59+00:00", "2026-03-29"),
        ("Europe/Berlin", "2026-03-29T22:00:00+00:00", "2026-03-30"),
        ("America/New_York", "2026-03-29T03:59:59+00:00", "2026-03-28"),
        ("Asia/Kolkata", "2026-03-29T18:30:00+00:00", "2026-03-30"),
        ("Asia/Kathmandu", "2026-03-29T18:14:59+00:00", "2026-03-29"),
        ("Asia/Kathmandu", "2026-03-29T18:15:00+00:00", "2026-03-30"),
        ("Pacific/Kiritimati", "2026-03-29T10:00:00+00:00", "2026-03-30"),
    ],
)
async def test_days_begin_where_the_time_zone_says(tmp_path: Path, zone: str, at: str, date: str) -> None:
    async with Gateway(tmp_path, clock=FakeClock(NOW), settings={"timezone": "Asia/Tokyo"}) as gateway:
        await book(gateway, datetime.fromisoformat(at), 1.0)
        assert [day["date"] for day in (await overview(gateway, tz=zone))["by_day"]] == [date]
        assert [day["date"] for day in (await overview(gateway, tz=zone, period="all"))["by_day"]] == [date]
        assert (await overview(gateway))["timezone"] == "Asia/Tokyo"


@pytest.mark.parametrize(
    "zone", ["Nowhere/At_All", "../etc/passwd", "/etc/localtime", "Europe", "", " ", "x" * 9000, "a\0b"]
)
async def test_time_zones_that_are_none(tmp_path: Path, zone: str) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.get(COSTS, params={"tz": zone})
        if zone.strip():
            assert (answer.status_code, list(answer.json()["fields"])) == (422, ["tz"])
        else:
            assert answer.json()["timezone"] == "UTC"


async def test_a_turn_is_booked_with_its_tools_and_the_model_that_answered(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.state.paths.config_dir / "models.toml").write_text("[local.models.m]\ninput = 1\noutput = 2\n")
        await gateway.stop()
        await gateway.start()
        gateway.provider.play(
            script(CallTool("FileList"), Usage(input=1000, output=100)),
            script(CallTool("FileRead", '{"path": "missing.txt"}', "call_2"), Usage(input=1000, output=100)),
            script("Done.", Usage(input=1000, output=100)),
        )
        await (await gateway.socket()).say("what is there?")
        body = await overview(gateway)
        assert body["by_tool"] == [
            {"tool_name": "FileList", "invocations": 1, "errors": 0},
            {"tool_name": "FileRead", "invocations": 1, "errors": 1},
        ]
        assert [(each["model"], each["total_turns"]) for each in body["by_model"]] == [("m", 3)]
        assert body["total_cost_usd"] == pytest.approx(3 * 1200 / 1e6)
        assert (body["by_session"][0]["title"], body["by_session"][0]["total_turns"]) == ("what is there?", 3)


async def test_rows_that_make_no_sense_fail_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path, clock=FakeClock(NOW)) as gateway:
        await book(gateway, NOW - timedelta(days=1), 1.0)
        path = gateway.state.paths.core_db
        await gateway.stop()
        good = (NOW - timedelta(hours=3)).isoformat()
        strange = [
            (5, 5, "lots", good, "ada"),
            ("many", 5, 1.0, good, "ada"),
            (5, 5, float("inf"), good, "ada"),
            (-5, 5, -7.0, good, "ada"),
            (5, 5, 1e300, good, b"\xff"),
            (5, 5, 1.0, "yesterday", "ada"),
            (5, 5, 1.0, "", "ada"),
            (5, 5, 1.0, "9999-12-31T23:59:59", "ada"),
            (5, 5, 1.0, "0001-01-01T00:00:00", "ada"),
        ]
        with sqlite3.connect(path) as connection:
            connection.executemany(
                "INSERT INTO usage_stats (input_tokens, output_tokens, cost_usd, timestamp, user_id) VALUES (?, ?, ?, ?, ?)",
                strange,
            )
            connection.execute("INSERT INTO session_metadata (id, created_at, last_message_at) VALUES ('s', '', '')")
            connection.execute(
                "INSERT INTO session_messages (session_id, role, content, timestamp) VALUES ('s', 'tool_use', '{not', ?)",
                (good,),
            )
        await gateway.start()
        await gateway.state.costs.check()
        for period in ("7d", "30d", "all"):
            answer = await gateway.http.get(COSTS, params={"period": period, "tz": "Europe/Berlin"})
            assert answer.status_code == 200, answer.text
        assert (await overview(gateway, period="7d"))["total_cost_usd"] == 3.0
        assert (await gateway.http.get(COSTS, params={"format": "csv", "period": "all"})).status_code == 200


async def test_sums_are_mended_when_rows_came_or_went_past_them(tmp_path: Path) -> None:
    async with Gateway(tmp_path, clock=FakeClock(NOW)) as gateway:
        for cost in (1.0, 2.0, 4.0):
            await book(gateway, NOW - timedelta(hours=1), cost)
        with sqlite3.connect(gateway.state.paths.core_db) as connection:
            connection.execute(
                "INSERT INTO usage_stats (cost_usd, model, timestamp) VALUES (8.0, 'gpt-4o', ?)", (NOW.isoformat(),)
            )
        await gateway.state.costs.check()
        assert (await overview(gateway))["total_cost_usd"] == 15.0
        with sqlite3.connect(gateway.state.paths.core_db) as connection:
            connection.execute("DELETE FROM usage_stats WHERE cost_usd = 2.0")
        await gateway.state.costs.check()
        body = await overview(gateway)
        assert body["total_cost_usd"] == 13.0
        assert sum(each["total_cost_usd"] for each in body["by_user"]) == 13.0


async def test_people_see_their_own_costs_and_admins_everybodys(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        now = datetime.now(UTC)
        await book(gateway, now, 1.0, user=user.id, session="mine")
        await book(gateway, now, 2.0, user="other", session="theirs")
        mine = (await gateway.client(key).get("/api/costs", params={"user_id": "other"})).json()
        assert mine["total_cost_usd"] == 1.0
        assert [each["user_id"] for each in mine["by_user"]] == [user.id]
        assert [each["session_id"] for each in mine["by_session"]] == ["mine"]
        assert [day["total_cost_usd"] for day in mine["by_day"]] == [1.0]
        assert (await overview(gateway))["total_cost_usd"] == 3.0
        assert (await overview(gateway, user_id=user.id))["total_cost_usd"] == 1.0
        assert (await gateway.client(key).get(COSTS)).status_code == 403
        assert (await gateway.client().get(COSTS)).status_code == 401
        assert (await gateway.client().get("/api/costs")).status_code == 401


async def test_costs_as_a_table(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await book(gateway, datetime.now(UTC), 1.5, model="=cmd()")
        answer = await gateway.http.get(COSTS, params={"format": "csv"})
        assert answer.headers["content-type"] == "text/csv; charset=UTF-8"
        lines = list(csv.DictReader(io.StringIO(answer.text)))
        assert (lines[0]["kind"], lines[0]["cost_usd"]) == ("total", "1.5")
        assert [line["name"] for line in lines if line["kind"] == "model"] == ["'=cmd()"]
        assert (await gateway.http.get(COSTS, params={"format": "pdf"})).status_code == 400
