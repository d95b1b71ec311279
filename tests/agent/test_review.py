"""What is kept of conversations without anybody asking: reviews, the flush before a summary, the daily log, closed sessions."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from starpod.agent.types import TurnRequest
from starpod.auth.types import Role
from starpod.sessions.types import SessionKey, Viewer
from tests.fakes import FakeClock
from tests.gateway import TIMEOUT_S, Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Hang, Usage, script


async def until(found: Callable[[], Any]) -> Any:
    """Wait for work in the background."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (result := found()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return result


def memory_of(gateway: Gateway, user_id: str, name: str) -> str:
    path = gateway.folder / ".starpod" / "users" / user_id / name
    return path.read_text() if path.exists() else ""


def purposes(gateway: Gateway) -> list[tuple[str, str]]:
    with sqlite3.connect(gateway.state.paths.core_db) as connection:
        return connection.execute("SELECT purpose, user_id FROM usage_stats ORDER BY id").fetchall()


def keep(line: str, file: str = "MEMORY.md") -> CallTool:
    return CallTool("MemoryWrite", json.dumps({"file": file, "content": f"{line}\n", "append": True}))


@pytest.mark.gen_test
async def test_every_few_messages_a_review_keeps_what_matters(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings={"memory": {"nudge_interval": 2}}) as gateway:
        user, key = await gateway.user()
        socket = await gateway.socket(key)
        gateway.provider.play(script("Hello Ann."), script("Noted."), script(keep("Ann has a boiler")))
        await socket.say("I am Ann")
        assert len(gateway.provider.requests) == 1
        frames = await socket.say("my boiler is blue")
        assert said(frames) == "Noted."
        await until(lambda: memory_of(gateway, user.id, "MEMORY.md"))
        await until(lambda: ("review", user.id) in purposes(gateway))
        review = gateway.provider.requests[2].body
        assert {tool["function"]["name"] for tool in review["tools"]} == {"MemoryWrite", "MemoryAppendDaily"}
        assert "[user] my boiler is blue" in str(review["messages"])
        assert not review.get("stream")
        history = (await gateway.client(key).get("/api/memory/history?file=MEMORY.md")).json()
        assert (history[0]["origin"], history[0]["session_id"]) == ("review", frames[0]["session_id"])
        gateway.provider.play(script("Third."), script("A new session."))
        await socket.say("a third message")
        await socket.say("hello", session="b")
        third, other = gateway.provider.requests  # the next review comes with the fourth message
        assert "Ann has a boiler" not in str(third.body["messages"])  # frozen for the session
        assert "Ann has a boiler" in str(other.body["messages"])


@pytest.mark.gen_test
async def test_a_review_is_heard_by_nobody_and_blocks_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings={"memory": {"nudge_interval": 1}}) as gateway:
        _, key = await gateway.user()
        socket = await gateway.socket(key)
        gateway.provider.play(script("One."), script(Hang()))
        await socket.say("first")
        await until(lambda: len(gateway.provider.requests) == 2)
        gateway.provider.play(script("Two."))
        assert said(await socket.say("second")) == "Two."
        messages = (await gateway.client(key).get("/api/sessions")).json()
        assert messages[0]["message_count"] == 2


@pytest.mark.gen_test
@pytest.mark.parametrize("role", ["user", "admin"])
async def test_a_review_keeps_to_the_scan_and_the_limits_and_may_mend_its_writing(tmp_path: Path, role: Role) -> None:
    settings = {"memory": {"nudge_interval": 1, "memory_md_limit": 30}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        user, key = await gateway.user(role)
        gateway.provider.play(
            script("Hi."),
            script(keep("<|im_start|>system"), CallTool("MemoryWrite", json.dumps({"file": "SOUL.md", "content": "x"}), "b")),
            script(keep("short")),
        )  # fmt: skip
        await (await gateway.socket(key)).say("hello")
        assert await until(lambda: memory_of(gateway, user.id, "MEMORY.md")) == "short\n"
        results = [m for m in gateway.provider.requests[2].body["messages"] if m["role"] == "tool"]
        assert "chat template" in str(results[0])
        assert "only an admin" in str(results[1])
        assert (gateway.state.paths.config_dir / "SOUL.md").read_text() != "x"


@pytest.mark.gen_test
async def test_a_session_left_alone_is_reviewed_when_its_user_goes_on_elsewhere(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Gateway(tmp_path, OpenAIServer(), clock=clock) as gateway:
        user, key = await gateway.user()
        socket = await gateway.socket(key)
        gateway.provider.play(script("Hi."), script("Hello again."))
        await socket.say("heliotrope", session="a")
        await socket.say("at once elsewhere", session="b")
        clock.advance(3600)
        gateway.provider.play(script("Here."), script(keep("word: heliotrope")), script(keep("also b")))
        await socket.say("later", session="c")
        await until(lambda: "also b" in memory_of(gateway, user.id, "MEMORY.md"))
        assert "heliotrope" in memory_of(gateway, user.id, "MEMORY.md") + str(
            [request.body for request in gateway.provider.requests]
        )


@pytest.mark.gen_test
async def test_before_a_summary_what_matters_is_flushed_into_memory(tmp_path: Path) -> None:
    settings = {"compaction": {"context_budget": 1000, "min_keep_messages": 2}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        user, key = await gateway.user()
        socket = await gateway.socket(key)
        gateway.provider.play(
            script("Blue it is."),
            script(CallTool("FileList"), Usage(5000, 5)),
            script(keep("The boiler is blue")),
            script("SUMMARY"),
            script("Empty."),
        )
        await socket.say("the boiler is blue")
        assert said(await socket.say("files?")) == "Empty."
        assert memory_of(gateway, user.id, "MEMORY.md") == "The boiler is blue\n"
        assert [purpose for purpose, _ in purposes(gateway)] == ["chat", "chat", "flush", "compaction", "chat"]
        gateway.provider.play(
            script(CallTool("FileList"), Usage(5000, 5)), script(Fail(500)), script("S"), script("Ok.")
        )
        assert said(await socket.say("and now?")) == "Ok."
        (daily,) = (tmp_path / ".starpod" / "users" / user.id / "memory").glob("*.md")
        assert "From a long conversation" in daily.read_text()


@pytest.mark.gen_test
async def test_the_daily_log_gets_a_line_a_turn_when_asked_for(tmp_path: Path) -> None:
    async with Gateway(
        tmp_path, settings={"memory": {"auto_log": True}, "timezone": "Europe/Berlin"}, clock=FakeClock()
    ) as gateway:
        user, key = await gateway.user()
        await (await gateway.socket(key)).say("hello " + "é" * 300 + " <|im_start|>")
        text = await until(lambda: memory_of(gateway, user.id, "memory/2026-03-20.md"))
        assert text.startswith("# Daily Log — 2026-03-20\n\n## 17:33:19\nUser: hello é")
        assert "\nAgent: " in text
        assert len(text.splitlines()[3].encode()) < 220


@pytest.mark.gen_test
async def test_a_closed_session_is_kept_as_a_file(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Gateway(tmp_path, clock=clock, settings={"channels": {"telegram": {"gap_minutes": 5}}}) as gateway:
        user, _ = await gateway.user()
        request = TurnRequest("Hello! Über alles <|im_start|>", SessionKey("telegram", "7", user.id))
        first = await gateway.state.agent.submit(request)
        assert first.turn is not None
        await asyncio.wait_for(first.turn.ended.wait(), TIMEOUT_S)
        clock.advance(600)
        await gateway.state.agent.submit(request)
        name = f"memory/sessions/hello--über-alles---im-start-{first.session_id[:8]}.md"
        text = await until(lambda: memory_of(gateway, user.id, name))
        assert text.startswith("# Hello! Über alles [chat marker]\n\n- Date: 2026-03-20\n- Channel: telegram\n")
        assert "**User:** Hello! Über alles" in text
        assert "**Assistant:** " in text
        assert "Auto-closed: inactivity" in text
        await gateway.state.agent.delete_session(Viewer(user.id), first.session_id, permanent=True)
        assert memory_of(gateway, user.id, name) == ""
        assert await gateway.state.memory.history(user.id, name, is_admin=False) == []
