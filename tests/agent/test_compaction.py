"""Long conversations: the older part becomes a summary, also for the next start; tool calls stay with their results."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.gateway import Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Usage, script

SMALL = {
    "compaction": {
        "context_budget": 1000,
        "min_keep_messages": 2,
        "prune_threshold_pct": 50,
        "max_tool_result_bytes": 50_000,
        "memory_flush": False,
    }
}


def shown(gateway: Gateway, number: int = -1) -> str:
    return str([m for m in gateway.provider.requests[number].body["messages"] if m["role"] != "system"])


@pytest.mark.gen_test
async def test_the_summary_replaces_the_older_part_and_survives_a_restart(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings=SMALL) as gateway:
        socket = await gateway.socket()
        gateway.provider.play(
            script("Blue it is.", Usage(100, 5)),
            script(CallTool("FileList"), Usage(5000, 5)),
            script("SUMMARY: the boiler is blue"),
            script("Home is empty.", Usage(300, 5)),
        )
        await socket.say("the boiler is painted blue, remember the word heliotrope")
        frames = await socket.say("what files are there?")
        assert "compaction" in [frame["type"] for frame in frames]
        assert said(frames) == "Home is empty."
        assert "heliotrope" in shown(gateway, 2)  # what is summarised
        assert "heliotrope" not in shown(gateway, 3)
        assert "the boiler is blue" in shown(gateway, 3)
        roles = [m["role"] for m in gateway.provider.requests[3].body["messages"]]
        assert roles[-2:] == ["assistant", "tool"]
        with sqlite3.connect(gateway.state.paths.core_db) as connection:
            log = connection.execute(
                'SELECT summary, pre_tokens, messages_compacted, "trigger" FROM compaction_log'
            ).fetchall()
            purposes = connection.execute("SELECT purpose FROM usage_stats ORDER BY id").fetchall()
        assert log == [("SUMMARY: the boiler is blue", 5005, log[0][2], "auto")]
        assert [purpose for (purpose,) in purposes] == ["chat", "chat", "compaction", "chat"]

        await gateway.stop()
        await gateway.start()
        gateway.provider.play(script("Blue.", Usage(300, 5)))
        await (await gateway.socket()).say("which colour?")
        assert "the boiler is blue" in shown(gateway)
        assert "heliotrope" not in shown(gateway)
        session = (await gateway.http.get("/api/sessions")).json()[0]
        messages = (await gateway.http.get(f"/api/sessions/{session['id']}/messages")).json()
        assert "heliotrope" in messages[0]["content"]  # people still see all of it


@pytest.mark.gen_test
async def test_a_failing_summary_leaves_the_conversation_as_it_is(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings=SMALL) as gateway:
        socket = await gateway.socket()
        gateway.provider.play(
            script("Noted."),
            script(CallTool("FileList"), Usage(5000, 5)),
            script(Fail(500)),
            script("Still here.", Usage(10, 1)),
        )
        await socket.say("heliotrope")
        frames = await socket.say("files?")
        assert said(frames) == "Still here."
        assert "heliotrope" in shown(gateway)


@pytest.mark.gen_test
async def test_old_long_tool_results_are_shortened_before_anything_is_summarised(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings=SMALL) as gateway:
        (gateway.home / "long.txt").write_text("begin " + "x" * 20_000 + " end\n")
        socket = await gateway.socket()
        gateway.provider.play(
            script(CallTool("FileRead", '{"path": "long.txt"}', "c1"), Usage(50, 5)),
            script(CallTool("FileList", "{}", "c2"), Usage(700, 5)),
            script("Done.", Usage(100, 5)),
        )
        await socket.say("read it")
        assert "x" * 10_000 in shown(gateway, 1)
        assert "x" * 10_000 not in shown(gateway, 2)
        assert "characters left out" in shown(gateway, 2)
