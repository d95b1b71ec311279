"""The drill: a gateway that answers is backed up, lost, restored elsewhere, and goes on from there."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from starpod.cli import main
from tests.gateway import Gateway, said
from tests.handlers.test_memory_search import until_found
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script


@pytest.mark.gen_test
async def test_an_agent_that_was_lost_goes_on_from_its_backup(tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.gz"
    gate = Gate()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    async with Gateway(tmp_path / "first", OpenAIServer()) as gateway:
        gateway.provider.play(script("Noted."))
        socket = await gateway.socket()
        await socket.say("The cat is called Miso.", session="cats")
        (await gateway.http.put("/api/settings/vault/WEATHER_KEY", json={"value": "sunshine"})).raise_for_status()
        memory = {"file": "MEMORY.md", "content": "The cat is called Miso.\n"}
        (await gateway.http.put("/api/memory/files", json=memory)).raise_for_status()
        gateway.provider.play(script("Once upon", Wait(gate), " a time."))
        await socket.send("message", text="Tell me a story.", channel_session_key="story")
        await socket.next("text_delta")
        # While that turn streams.
        assert await asyncio.to_thread(main, ["backup", str(archive), "--dir", str(tmp_path / "first")]) == 0
        gate.open()
        assert said(await socket.until("stream_end")).endswith("a time.")
    await asyncio.to_thread(shutil.rmtree, tmp_path / "first")
    assert await asyncio.to_thread(main, ["restore", str(archive), "--dir", str(tmp_path / "second")]) == 0
    async with Gateway(tmp_path / "second", OpenAIServer()) as gateway:
        sessions = (await gateway.http.get("/api/sessions")).json()
        by_key = {each["channel_session_key"]: each["id"] for each in sessions}
        messages = (await gateway.http.get(f"/api/sessions/{by_key['cats']}/messages")).json()
        assert [each["role"] for each in messages] == ["user", "assistant"]
        # The turn that was under way is there as far as it had come.
        story = (await gateway.http.get(f"/api/sessions/{by_key['story']}/messages")).json()
        assert "Tell me a story." in str(story[0])
        assert gateway.state.vault.over({})["WEATHER_KEY"] == "sunshine"
        found = await until_found(gateway, "cat called")
        assert any("Miso" in each["text"] for each in found)
        gateway.provider.play(script("Miso."))
        again = await gateway.socket()
        assert said(await again.say("What is it called?", session="cats")) == "Miso."
