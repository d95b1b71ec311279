"""Edited files act on a running gateway, and those who may know are told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from starpod.events import ConfigReloaded
from tests.fakes import FakeClock
from tests.gateway import TIMEOUT_S, Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script
from tests.reloads import reload_often

pytestmark = pytest.mark.gen_test


async def test_an_edited_file_acts_within_three_seconds_and_admins_are_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        admin, plain = await gateway.socket(), await gateway.socket(key)
        path = gateway.state.paths.agent_toml
        path.write_text(f'agent_name = "Vega"\nserver_addr = "127.0.0.1:4000"\n{path.read_text()}')
        told = await admin.next("config_reloaded", timeout_s=3)
        assert {"agent_name", "server_addr"} <= set(told["changed"]) and told["restart_needed"] == ["server_addr"]
        assert (await gateway.client().get("/api/config")).json()["agent_name"] == "Vega"
        status = (await gateway.http.get("/api/settings/status")).json()
        assert (status["rejected"], status["warnings"], status["restart_needed"]) == ([], [], ["server_addr"])
        await plain.send("ping")
        assert [frame["type"] for frame in await plain.until("pong")] == ["pong"]


async def test_a_broken_file_is_told_to_admins_only(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        admin = await gateway.socket()
        path = gateway.state.paths.agent_toml
        good = path.read_text()
        path.write_text("\nmax_turns = secret\n")
        told = await admin.next("config_rejected", timeout_s=3)
        assert (told["file"], told["line"]) == ("config/agent.toml", 2) and "max_turns" in told["reason"]
        health = (await gateway.client().get("/api/health")).json()
        assert health["config_error"] and "max_turns" not in str(health)
        assert "max_turns" in (await gateway.http.get("/api/settings/status")).json()["rejected"][0]
        path.write_text(good)
        assert (await admin.next("config_reloaded", timeout_s=3))["changed"] == []
        assert "config_error" not in (await gateway.client().get("/api/health")).json()


async def test_models_toml_acts_and_a_bad_one_leaves_the_models_as_they_were(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        path = gateway.state.paths.config_dir / "models.toml"
        path.write_text("[mine.models.m]\ninput = 1\noutput = 2\n")
        await gateway.state.watcher.reload()
        assert (await gateway.http.get("/api/settings/models")).json()["models"]["mine"] == ["m"]
        path.write_text("[mine.models.m]\ninput = 'x'\noutput = 1\n")
        await gateway.state.watcher.reload()
        assert (await gateway.http.get("/api/settings/models")).json()["models"]["mine"] == ["m"]
        (reason,) = (await gateway.http.get("/api/settings/status")).json()["rejected"]
        assert reason.startswith("models.toml, line 2: mine.models.m.input")
        path.unlink()
        await gateway.state.watcher.reload()
        assert "mine" not in (await gateway.http.get("/api/settings/models")).json()["models"]


async def test_a_saved_setting_acts_on_the_next_message(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        await socket.say("hello")
        auth = gateway.state.paths.agent_toml.read_text() + "\n[auth]\nrate_limit_requests = 2\n"
        gateway.state.paths.agent_toml.write_text(auth)
        await gateway.state.watcher.reload()
        await socket.say("hello")
        await socket.send("message", text="hello", channel_session_key="a")
        assert (await socket.next("error"))["status"] == 429


async def test_a_running_turn_keeps_the_settings_that_it_began_with(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gate = Gate()
        gateway.provider.play(script("Still ", Wait(gate), "me."))
        socket = await gateway.socket()
        await socket.send("message", text="hi", channel_session_key="a")
        await socket.next("text_delta")
        path = gateway.state.paths.agent_toml
        path.write_text(path.read_text().replace('["local/m"]', '["offline/assistant"]'))
        await gateway.state.watcher.reload()
        await gateway.state.pulse()
        assert gateway.state.config.models == ("offline/assistant",)
        gate.open()
        assert said(await socket.until("stream_end")) == "me."
        assert (await socket.say("hi", "b"))[-1]["model"] == "offline/assistant"
        assert len(gateway.provider.requests) == 1


async def test_clients_of_earlier_settings_are_closed_when_nothing_uses_them(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Gateway(tmp_path, OpenAIServer(), clock=clock) as gateway:
        gateway.provider.play(script("One."), script("Two."))
        socket = await gateway.socket()
        await socket.say("hi")
        models = gateway.state.agent.models
        (first,) = models._clients.values()
        gateway.state.paths.env_file.write_text("LOCAL_API_KEY=another\n")
        await gateway.state.watcher.reload()
        await socket.say("hi")
        assert len(models._clients) == 2
        clock.advance(61)
        await gateway.state.pulse()
        assert first.is_closed
        assert [client.is_closed for client in models._clients.values()] == [False]


async def test_reloads_leave_nothing_behind(tmp_path: Path) -> None:
    before, after = await reload_often(tmp_path, 60, warm_up=40)
    assert (after.threads, after.watches) == (before.threads, before.watches)
    assert after.files <= before.files + 2
    assert after.rss_kib - before.rss_kib < 4 * 1024


async def test_a_signal_reads_the_files_and_log_levels_follow(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "starpod.server", "--dir", str(tmp_path), "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ,
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        async with asyncio.timeout(TIMEOUT_S * 2):
            while b"Model:" not in await process.stdout.readline():
                pass
            config = tmp_path / ".starpod" / "config"
            (config / "logging.yaml").write_text(
                "version: 1\ndisable_existing_loggers: false\nformatters: {mine: {format: 'MINE %(message)s'}}\n"
                "handlers: {console: {class: logging.StreamHandler, formatter: mine}}\n"
                "root: {level: INFO, handlers: [console]}\n"
            )
            text = (config / "agent.toml").read_text()
            (config / "agent.toml").write_text(text.replace("max_turns = 30", "max_turns = 31"))
            process.send_signal(signal.SIGHUP)
            while True:
                line = await process.stderr.readline()
                assert line
                if b"settings reloaded" in line:
                    break
            assert line.strip() == b"MINE settings reloaded: max_turns, logging.yaml"
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def test_events_have_what_listeners_need(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        heard: list[ConfigReloaded] = []
        gateway.state.events.subscribe(ConfigReloaded, heard.append)
        gateway.state.paths.env_file.write_text("SOME_KEY=x\n")
        await gateway.state.watcher.reload()
        assert heard == [ConfigReloaded(("env.SOME_KEY",), ())]
