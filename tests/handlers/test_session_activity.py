"""What a socket that asks for it is told of its user's sessions, beside the turns that it follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gateway import ADMIN_KEY, Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Usage, Wait, script

pytestmark = pytest.mark.gen_test

WATCHING = f"/ws?token={ADMIN_KEY}&sessions=1"


async def test_sessions_get_busy_and_idle_for_those_who_watch(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(Wait(gate), "Done."))
        watching, plain, writer = await gateway.socket(path=WATCHING), await gateway.socket(), await gateway.socket()
        _, key = await gateway.user()
        stranger = await gateway.socket(path=f"/ws?token={key}&sessions=1")
        await writer.send("message", text="hi", channel_session_key="a")
        start = await writer.next("stream_start")
        busy = {"type": "session_changed", "session_id": start["session_id"], "is_running": True}
        assert await watching.next() == busy
        assert (await gateway.http.get("/api/sessions/running")).json() == {"session_ids": [start["session_id"]]}
        assert (await gateway.client(key).get("/api/sessions/running")).json() == {"session_ids": []}
        gate.open()
        assert await watching.next() == busy | {"is_running": False}
        assert (await gateway.http.get("/api/sessions/running")).json() == {"session_ids": []}
        for socket in (plain, stranger):
            await socket.send("ping")
            assert (await socket.next())["type"] == "pong"


async def test_who_follows_a_turn_and_watches_hears_what_it_costs_so_far(tmp_path: Path) -> None:
    models = "[local.models.m]\ninput = 1000000\noutput = 1000000\n"
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.state.paths.config_dir / "models.toml").write_text(models)
        await gateway.stop()
        await gateway.start()
        gateway.provider.play(script(CallTool("FileList"), Usage(3, 1)), script("Done.", Usage(5, 1)))
        socket = await gateway.socket(path=WATCHING)
        frames = await socket.say("list")
        (spent,) = [frame for frame in frames if frame["type"] == "usage" and not frame["is_estimate"]]
        assert (spent["cost_usd"], spent["input_tokens"], spent["output_tokens"]) == (4.0, 3, 1)
        assert spent["turn_id"] == frames[-1]["turn_id"] and frames[-1]["cost_usd"] == 10.0


async def test_while_the_first_answer_comes_its_cost_is_estimated(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.state.paths.config_dir / "models.toml").write_text("[local.models.m]\ninput = 0\noutput = 1000000\n")
        await gateway.stop()
        await gateway.start()
        gateway.provider.play(script("word" * 25, Wait(gate), " and more", Usage(5, 30)))
        socket = await gateway.socket(path=WATCHING)
        await socket.send("message", text="hi")
        guess = await socket.next("usage")
        assert (guess["is_estimate"], guess["output_tokens"], guess["cost_usd"]) == (True, 25, 25.0)
        gate.open()
        assert (await socket.next("stream_end"))["cost_usd"] == 30.0
