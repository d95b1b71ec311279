"""The heartbeat's job follows HEARTBEAT.md, whoever writes the file, and says nothing when there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from starpod.cron.prompts import has_content
from starpod.cron.types import CronComplete, Interval, Job
from starpod.paths import shipped
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

ROUTE, FILE = "/api/settings/heartbeat", "/api/settings/files/HEARTBEAT.md"


@pytest.mark.parametrize(
    "text", ["", "  \n", "# Heartbeat\n", "<!-- write here -->\n# To do\n- [ ]\n* \n---\n", "\ufeff# x\n<!-- open"]
)
def test_a_file_that_says_nothing_asks_for_nothing(text: str) -> None:
    assert not has_content(text)


@pytest.mark.parametrize("name", ["HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md"])
def test_the_shipped_files_ask_for_nothing(name: str) -> None:
    assert not has_content((shipped("conf") / name).read_text())


@pytest.mark.parametrize("text", ["Look at the mail", "- [ ] water the plants", "# x\n1. y", "<!-- a -->b"])
def test_a_file_with_a_sentence_asks_for_something(text: str) -> None:
    assert has_content(text)


async def until(gateway: Gateway, is_right: Callable[[Job | None], bool]) -> Job | None:
    """The heartbeat's job once it is as wanted; the pulse looks at files once a second."""
    async with asyncio.timeout(10):
        while not is_right(job := await gateway.state.jobs.find_heartbeat()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return job


@pytest.mark.gen_test
async def test_the_settings_make_change_and_remove_the_job_at_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        on = {"enabled": True, "interval_minutes": 90, "content": "Look at the mail."}
        assert (await gateway.http.put(ROUTE, json=on)).status_code == 200
        [job] = (await gateway.http.get("/api/cron/jobs")).json()
        assert (job["name"], job["schedule"]) == ("__heartbeat__", {"kind": "interval", "every_ms": 5_400_000})
        assert (job["session_mode"], job["user_id"], job["enabled"]) == ("main", None, True)
        await gateway.http.put(ROUTE, json=on | {"interval_minutes": 7})
        [again] = (await gateway.http.get("/api/cron/jobs")).json()
        assert (again["id"], again["schedule"]["every_ms"]) == (job["id"], 420_000)
        assert again["next_run_at"] < job["next_run_at"]
        await gateway.http.put(FILE, json={"content": "# Heartbeat\n<!-- nothing now -->\n"})
        assert (await gateway.http.get("/api/cron/jobs")).json() == []
        await gateway.http.put(FILE, json={"content": "Look at the mail."})
        assert len((await gateway.http.get("/api/cron/jobs")).json()) == 1
        await gateway.http.put(ROUTE, json=on | {"enabled": False})
        assert (await gateway.http.get("/api/cron/jobs")).json() == []


@pytest.mark.gen_test
async def test_the_job_belongs_to_the_file(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await gateway.http.put(ROUTE, json={"enabled": True, "interval_minutes": 5, "content": "Look."})
        [job] = (await gateway.http.get("/api/cron/jobs")).json()
        url = f"/api/cron/jobs/{job['id']}"
        assert (await gateway.http.delete(url)).status_code == 400
        assert (await gateway.http.put(url, json={"prompt": "something else"})).status_code == 400
        assert (await gateway.http.put(url, json={"enabled": False})).status_code == 200
        _, key = await gateway.user()
        assert (await gateway.client(key).get(url)).status_code == 404


@pytest.mark.gen_test
async def test_edits_by_hand_and_a_deleted_file_are_seen(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        file = gateway.state.paths.config_dir / "HEARTBEAT.md"
        file.write_text("Look at the mail.")
        await until(gateway, lambda job: job is not None)
        file.unlink()
        await until(gateway, lambda job: job is None)
        (new := file.with_suffix(".tmp")).write_text("Look again.")
        new.replace(file)
        await until(gateway, lambda job: job is not None)


@pytest.mark.gen_test
async def test_the_start_looks_at_the_file_and_a_reload_at_the_interval(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await gateway.stop()
        (gateway.state.paths.config_dir / "HEARTBEAT.md").write_text("Look at the mail.")
        await gateway.start()
        await until(gateway, lambda job: job is not None)
        toml = gateway.state.paths.agent_toml
        toml.write_text(toml.read_text() + "\n[cron]\nheartbeat_interval_minutes = 3\n")
        await until(gateway, lambda job: job is not None and job.schedule == Interval(180_000))


@pytest.mark.gen_test
async def test_the_agent_writes_its_own_heartbeat_and_a_run_reads_the_file_anew(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        write = CallTool("MemoryWrite", '{"file": "HEARTBEAT.md", "content": "Look at the mail."}')
        gateway.provider.play(script(write), script("Done."), script("No mail."))
        socket = await gateway.socket()
        await socket.send("message", text="look at my mail now and then")
        await socket.until("stream_end")
        job = await until(gateway, lambda job: job is not None)
        assert job is not None
        heard: list[CronComplete] = []
        gateway.state.events.subscribe(CronComplete, heard.append)
        assert (await gateway.http.post(f"/api/cron/jobs/{job.id}/run", json={})).status_code in (200, 202)
        told: dict[str, Any] = await socket.next("notification")
        assert (told["job_name"], told["result_preview"], told["success"]) == ("__heartbeat__", "No mail.", True)
        assert "Look at the mail." in str(gateway.provider.requests[-1])
        asked = len(gateway.provider.requests)
        # Emptied behind the gateway's back, just before it fires: no model is asked and nobody is told.
        (gateway.state.paths.config_dir / "HEARTBEAT.md").write_text("# nothing\n")
        run_id = await gateway.state.scheduler.run_now(job)
        await gateway.state.scheduler.idle()
        runs = (await gateway.http.get(f"/api/cron/jobs/{job.id}/runs")).json()
        if runs and "error" not in runs:  # the watcher may have removed the job already
            run = next(each for each in runs if each["id"] == run_id)
            assert (run["status"], run["result_summary"], run["session_id"]) == ("success", "skipped", None)
        assert len(gateway.provider.requests) == asked
        assert len(heard) == 1
