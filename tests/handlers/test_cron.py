"""Jobs over HTTP, by the agent's tools, and as turns of their owners."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from starpod.cron.types import CronComplete
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Hang, script

pytestmark = pytest.mark.gen_test

JOB = {"name": "tea", "prompt": "make tea", "schedule": {"kind": "cron", "expr": "0 9 * * *"}}


async def heard(gateway: Gateway, count: int = 1) -> list[CronComplete]:
    events: list[CronComplete] = []
    enough = asyncio.Event()

    def listen(event: CronComplete) -> None:
        events.append(event)
        if len(events) >= count:
            enough.set()

    stop = gateway.state.events.subscribe(CronComplete, listen)
    try:
        await asyncio.wait_for(enough.wait(), 10)
    finally:
        stop()
    return events


async def test_a_job_is_made_changed_listed_and_deleted(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        made = await gateway.http.post("/api/cron/jobs", json=JOB | {"timezone": "Europe/Rome"})
        assert made.status_code == 201
        job = made.json()
        assert (job["name"], job["prompt"], job["enabled"], job["schedule"]) == (
            "tea",
            "make tea",
            True,
            JOB["schedule"],
        )
        assert (job["max_retries"], job["timeout_secs"], job["session_mode"]) == (3, 7200, "isolated")
        assert len(job["next_runs"]) == 5
        assert job["next_runs"][0] == job["next_run_at"]
        [listed] = (await gateway.http.get("/api/cron/jobs")).json()
        assert listed == job == (await gateway.http.get(f"/api/cron/jobs/{job['id']}")).json()
        changed = await gateway.http.put(
            f"/api/cron/jobs/{job['id']}", json={"prompt": "make coffee", "enabled": False}
        )
        assert changed.status_code == 200
        assert (changed.json()["prompt"], changed.json()["enabled"], changed.json()["next_run_at"]) == (
            "make coffee",
            False,
            None,
        )
        resumed = await gateway.http.post(f"/api/cron/jobs/{job['id']}/resume", json={})
        assert resumed.json()["next_run_at"] == job["next_run_at"]
        assert (await gateway.http.post("/api/cron/jobs", json=JOB)).status_code == 409
        assert (await gateway.http.delete(f"/api/cron/jobs/{job['id']}")).status_code == 204
        assert (await gateway.http.get(f"/api/cron/jobs/{job['id']}")).status_code == 404
        assert (await gateway.http.delete(f"/api/cron/jobs/{job['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedule": {"kind": "cron", "expr": "nonsense"}}, "schedule.expr"),
        ({"schedule": {"kind": "interval", "every_ms": 0}}, "schedule.every_ms"),
        ({"schedule": {"kind": "one_shot", "at": "2020-01-01T00:00:00Z"}}, "schedule.at"),
        ({"schedule": {"kind": "weekly"}}, "schedule"),
        ({"schedule": None}, "schedule"),
        ({"timezone": "Mars"}, "timezone"),
        ({"name": ""}, "name"),
        ({"name": "__heartbeat__"}, "name"),
        ({"prompt": 5}, "prompt"),
        ({"max_retries": 10**9}, "max_retries"),
        ({"overlap": "often"}, "overlap"),
        ({"model": "no/such"}, "model"),
        ({"name": "a\nb"}, "name"),
        ({"timeout_secs": 10**20}, "timeout_secs"),
        ({"schedule": {"kind": "interval", "every_ms": "soon"}}, "schedule"),
        ({"schedule": {"kind": "one_shot", "at": "2027-03-28T02:30:00"}, "timezone": "Europe/Berlin"}, "schedule.at"),
    ],
)
async def test_a_job_that_cannot_be_is_refused_field_by_field(
    tmp_path: Path, change: dict[str, Any], field: str
) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.post("/api/cron/jobs", json=JOB | change)
        assert answer.status_code == 422
        assert any(name.startswith(field) for name in answer.json()["fields"])
        assert (await gateway.http.get("/api/cron/jobs")).json() == []


async def test_a_schedule_can_be_looked_ahead_on(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.post(
            "/api/cron/preview", json={"schedule": {"kind": "cron", "expr": "@daily"}, "timezone": "Asia/Tokyo"}
        )
        runs = answer.json()["next_runs"]
        assert len(runs) == 5
        assert all(run % 86_400 == 15 * 3600 for run in runs)


async def test_a_plain_user_has_jobs_of_their_own_only(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        mine = gateway.client(key)
        own = (await mine.post("/api/cron/jobs", json=JOB)).json()
        foreign = (await gateway.http.post("/api/cron/jobs", json=JOB | {"name": "admin's"})).json()
        assert [job["name"] for job in (await mine.get("/api/cron/jobs")).json()] == ["tea"]
        assert len((await gateway.http.get("/api/cron/jobs")).json()) == 2
        assert (await mine.get(f"/api/cron/jobs/{foreign['id']}")).status_code == 404
        assert (await mine.get(f"/api/cron/jobs/{foreign['id']}/runs")).status_code == 404
        refused = await mine.put(f"/api/cron/jobs/{foreign['id']}", json={"prompt": "mine"})
        assert (refused.status_code, refused.json()["error"]) == (403, "Cannot update another user's job")
        refused = await mine.delete(f"/api/cron/jobs/{foreign['id']}")
        assert (refused.status_code, refused.json()["error"]) == (403, "Cannot delete another user's job")
        assert (await mine.post(f"/api/cron/jobs/{foreign['id']}/run", json={})).status_code == 403
        assert (await gateway.client().get("/api/cron/jobs")).status_code == 401
        assert (await gateway.http.delete(f"/api/cron/jobs/{own['id']}")).status_code == 204


async def test_a_run_is_a_turn_of_the_owner_in_a_session_of_its_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        user, key = await gateway.user()
        mine = gateway.client(key)
        gateway.provider.play(script("Tea is ready."))
        job = (await mine.post("/api/cron/jobs", json=JOB)).json()
        started, [event] = await asyncio.gather(mine.post(f"/api/cron/jobs/{job['id']}/run", json={}), heard(gateway))
        assert started.status_code == 202
        assert (event.job_name, event.success, event.result_preview, event.user_id) == (
            "tea",
            True,
            "Tea is ready.",
            user.id,
        )
        [session] = (await mine.get("/api/sessions")).json()
        assert (session["id"], session["triggered_by"], session["is_read"]) == (event.session_id, "tea", False)
        [run] = (await mine.get(f"/api/cron/jobs/{job['id']}/runs")).json()
        assert (run["id"], run["status"], run["trigger"]) == (started.json()["run_id"], "success", "manual")
        assert run["session_id"] == session["id"]
        assert [
            message["content"] for message in (await mine.get(f"/api/sessions/{session['id']}/messages")).json()
        ] == [
            "make tea",
            "Tea is ready.",
        ]
        assert (await gateway.http.get("/api/sessions")).json() == []


async def test_a_job_comes_when_it_is_due_and_a_failure_is_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(Fail(401)))
        waiting = asyncio.ensure_future(heard(gateway))
        await asyncio.sleep(0)
        await gateway.http.post(
            "/api/cron/jobs", json=JOB | {"schedule": {"kind": "interval", "every_ms": 1000}, "max_retries": 0}
        )
        [event] = await waiting
        assert not event.success
        assert event.result_preview
        assert gateway.provider.requests


async def test_a_run_whose_time_is_over_keeps_what_it_said_and_cost(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Well, ", Hang()))
        job = (await gateway.http.post("/api/cron/jobs", json=JOB | {"timeout_secs": 1, "max_retries": 0})).json()
        _, [event] = await asyncio.gather(gateway.http.post(f"/api/cron/jobs/{job['id']}/run", json={}), heard(gateway))
        assert (event.success, event.result_preview) == (False, "Timed out after 1 s")
        [run] = (await gateway.http.get(f"/api/cron/jobs/{job['id']}/runs")).json()
        assert (run["status"], run["result_summary"], run["error"]) == ("failed", "Well,", "Timed out after 1 s")
        messages = (await gateway.http.get(f"/api/sessions/{run['session_id']}/messages")).json()
        assert [message["content"] for message in messages] == ["make tea", "Well, "]
        assert 1000 <= run["duration_ms"] < 10_000


async def test_a_run_can_be_followed_while_it_is_under_way(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Well, ", Hang()))
        job = (await gateway.http.post("/api/cron/jobs", json=JOB)).json()
        await gateway.http.post(f"/api/cron/jobs/{job['id']}/run", json={})
        async with asyncio.timeout(10):
            while True:
                [run] = (await gateway.http.get(f"/api/cron/jobs/{job['id']}/runs")).json()
                if run["session_id"] is not None:
                    break
        assert (run["status"], run["completed_at"], run["duration_ms"]) == ("running", None, None)
        socket = await gateway.socket()
        await socket.send("resume", session_id=run["session_id"])
        assert (await socket.next("text_delta"))["text"] == "Well, "


async def test_a_run_that_was_cut_off_shows_where_it_got_to(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Half of ", Hang()))
        job = (await gateway.http.post("/api/cron/jobs", json=JOB)).json()
        await gateway.http.post(f"/api/cron/jobs/{job['id']}/run", json={})
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        await gateway.stop()
        await gateway.start()
        [run] = (await gateway.http.get(f"/api/cron/jobs/{job['id']}/runs")).json()
        assert (run["status"], run["error"]) == ("interrupted", "cut off: the gateway stopped while it ran")
        [session] = (await gateway.http.get("/api/sessions")).json()
        assert run["session_id"] == session["id"]
        assert len(gateway.provider.requests) == 1


async def test_the_agent_keeps_jobs_by_its_tools(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        _, key = await gateway.user()
        foreign = (await gateway.http.post("/api/cron/jobs", json=JOB | {"name": "admin's"})).json()
        schedule = {"kind": "cron", "expr": "0 9 * * mon"}
        bins = json.dumps({"name": "bins", "prompt": "put the bins out", "schedule": schedule})
        theirs = json.dumps({"name": "admin's", "enabled": False})
        gateway.provider.play(
            script(CallTool("CronAdd", bins, "a"), CallTool("CronUpdate", theirs, "b")),
            script(CallTool("CronList", "{}", "c"), CallTool("CronRuns", '{"name": "bins"}', "d")),
            script("Done."),
        )
        socket = await gateway.socket(key)
        await socket.send("message", text="bins on mondays")
        frames = await socket.until("stream_end")
        results = [frame["content"] for frame in frames if frame["type"] == "tool_result"]
        assert results[0].startswith("Scheduled job 'bins' (id: ")
        assert "There is no job" in results[1]
        assert [job["name"] for job in json.loads(results[2])] == ["bins"]
        assert json.loads(results[3]) == []
        assert (await gateway.http.get(f"/api/cron/jobs/{foreign['id']}")).json()["enabled"]


async def test_the_agent_runs_and_removes_jobs_of_its_user_only(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        _, key = await gateway.user()
        mine = gateway.client(key)
        await gateway.http.post("/api/cron/jobs", json=JOB | {"name": "admin's"})
        job = (await mine.post("/api/cron/jobs", json=JOB)).json()
        foreign, own = '{"name": "admin\'s"}', '{"name": "tea"}'
        calls = CallTool("CronRun", foreign, "a"), CallTool("CronRemove", foreign, "b"), CallTool("CronRun", own, "c")
        # The run and the conversation go on side by side, so both are told the same.
        gateway.provider.play(script(*calls), script("Done."), script("Done."))
        socket = await gateway.socket(key)
        waiting = asyncio.ensure_future(heard(gateway))
        await socket.send("message", text="tea, please")
        frames = await socket.until("stream_end")
        results = [frame["content"] for frame in frames if frame["type"] == "tool_result"]
        assert "There is no job" in results[0] and "There is no job" in results[1]
        assert results[2].startswith("Job 'tea' runs now")
        assert [event.job_name for event in await waiting] == ["tea"]
        assert [run["trigger"] for run in (await mine.get(f"/api/cron/jobs/{job['id']}/runs")).json()] == ["manual"]
        gateway.provider.play(script(CallTool("CronRemove", own, "d")), script("Gone."))
        await socket.send("message", text="no more tea")
        await socket.until("stream_end")
        assert [job["name"] for job in (await gateway.http.get("/api/cron/jobs")).json()] == ["admin's"]


async def test_only_admins_wake_the_heartbeat(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        beat = {"enabled": True, "interval_minutes": 30, "content": "Look at the mail."}
        assert (await gateway.http.put("/api/settings/heartbeat", json=beat)).status_code == 200
        gateway.provider.play(
            script(CallTool("HeartbeatWake", '{"mode": "next"}', "a"), CallTool("HeartbeatWake", '{"mode": "now"}', "b")),
            script("Done."), script("Done."), script("Hello."),
        )  # fmt: skip
        socket = await gateway.socket()
        waiting = asyncio.ensure_future(heard(gateway))
        await socket.send("message", text="wake up")
        frames = await socket.until("stream_end")
        results = [frame["content"] for frame in frames if frame["type"] == "tool_result"]
        assert results[0].startswith("The heartbeat runs next at ") and results[1] == "The heartbeat runs now"
        assert [event.job_name for event in await waiting] == ["__heartbeat__"]
        _, key = await gateway.user()
        await gateway.client(key).post("/api/chat", json={"text": "hi"})
        offered = [[tool["function"]["name"] for tool in each.body["tools"]] for each in gateway.provider.requests]
        assert "HeartbeatWake" in offered[0] and "HeartbeatWake" not in offered[-1] and "CronRun" in offered[-1]
