"""The turn engine through a real gateway and a scripted model: order, follow-ups, stopping, what is stored."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import peewee
import pytest

from starpod.sessions.types import Viewer
from tests.gateway import TIMEOUT_S, Gateway, Socket, kinds, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Fail, Gate, Hang, Say, Usage, Wait, script

ENDLESS = script(Say(tuple(f"tok{number} " for number in range(2000)), 0.005))


def contents(gateway: Gateway, number: int = -1) -> list[tuple[str, str]]:
    """(role, text) of what the model was shown in a request, without the system prompt."""
    messages = gateway.provider.requests[number].body["messages"]
    return [(m["role"], m.get("content") or "") for m in messages if m["role"] != "system"]


def rows(gateway: Gateway, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """What the database file holds, read past the gateway."""
    with sqlite3.connect(gateway.state.paths.core_db) as connection:
        return connection.execute(sql, params).fetchall()


async def stored(gateway: Gateway, session_id: str) -> list[tuple[str, str]]:
    response = await gateway.http.get(f"/api/sessions/{session_id}/messages")
    return [(row["role"], row["content"]) for row in response.json()]


@pytest.mark.gen_test
async def test_the_model_is_shown_the_conversation_so_far(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hi Ada."), script("You are Ada."))
        socket = await gateway.socket()
        await socket.say("I am Ada")
        await socket.say("Who am I?")
        assert contents(gateway) == [("user", "I am Ada"), ("assistant", "Hi Ada."), ("user", "Who am I?")]
        await socket.say("Who am I?", session="another")
        assert contents(gateway) == [("user", "Who am I?")]


@pytest.mark.gen_test
async def test_history_survives_a_restart(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(CallTool("FileList", call_id="c7")), script("An empty home."), script("Still."))
        await (await gateway.socket()).say("what is there?")
        await gateway.stop()
        await gateway.start()
        await (await gateway.socket()).say("and now?")
        assert [role for role, _ in contents(gateway)] == ["user", "assistant", "tool", "assistant", "user"]


@pytest.mark.gen_test
async def test_a_follow_up_joins_the_running_turn_with_the_next_model_call(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Let me look. ", Wait(gate), CallTool("FileList")), script("Here, briefly."))
        socket = await gateway.socket()
        await socket.send("message", text="list my files", channel_session_key="a")
        start = await socket.next("stream_start")
        await socket.next("text_delta")
        await socket.send("message", text="be brief", channel_session_key="a", client_message_id="m2")
        accepted = await socket.next("accepted")
        gate.open()
        frames = await socket.until("stream_end")
        assert accepted["is_follow_up"]
        assert accepted["turn_id"] == start["turn_id"]
        assert said(frames) == "Here, briefly."
        assert [role for role, _ in contents(gateway)] == ["user", "assistant", "tool", "user"]
        assert contents(gateway)[-1] == ("user", "be brief")
        assert [text for role, text in await stored(gateway, start["session_id"]) if role == "user"] == [
            "list my files",
            "be brief",
        ]


@pytest.mark.gen_test
async def test_a_follow_up_during_the_last_model_call_is_answered_too(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("One", Wait(gate), " more."), script("And two."))
        socket = await gateway.socket()
        await socket.send("message", text="one", channel_session_key="a")
        await socket.next("text_delta")
        await socket.send("message", text="two", channel_session_key="a", client_message_id="m2")
        await socket.next("accepted")
        gate.open()
        assert said(await socket.until("stream_end")) == " more.And two."
        assert contents(gateway) == [("user", "one"), ("assistant", "One more."), ("user", "two")]


@pytest.mark.gen_test
async def test_in_queue_mode_each_message_gets_a_turn_of_its_own_in_order(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"followup_mode": "queue"}) as gateway:
        gateway.provider.play(script("1", Wait(gate)), script("2"), script("3"))
        socket = await gateway.socket()
        await socket.send("message", text="first", channel_session_key="a")
        await socket.next("text_delta")
        for text in ("second", "third"):
            await socket.send("message", text=text, channel_session_key="a")
        gate.open()
        turns = [await socket.until("stream_end") for _ in range(3)]
        assert [kinds(frames)[-1] for frames in turns] == ["stream_end"] * 3
        assert len({frames[-1]["turn_id"] for frames in turns}) == 3
        assert [said(frames) for frames in turns[1:]] == ["2", "3"]
        assert contents(gateway) == [
            ("user", "first"), ("assistant", "1"), ("user", "second"), ("assistant", "2"), ("user", "third"),
        ]  # fmt: skip


@pytest.mark.gen_test
async def test_a_follow_up_never_lands_in_another_session(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("a", Wait(gate)), script("b"))
        socket = await gateway.socket()
        await socket.send("message", text="in a", channel_session_key="a")
        first = await socket.next("stream_start")
        await socket.next("text_delta")
        second = (await socket.say("in b", session="b"))[-1]
        assert second["session_id"] != first["session_id"]
        gate.open()
        await socket.next("stream_end", session_id=first["session_id"])
        assert contents(gateway) == [("user", "in b")]


@pytest.mark.gen_test
async def test_whoever_has_much_to_ask_does_not_keep_others_waiting(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"turns": {"max_parallel": 1}}) as gateway:
        gateway.provider.play(script(Wait(gate), "Done."), script("Done."))
        sockets = {}
        for name in ("Ann", "Bob", "Cem"):
            _, key = await gateway.user(name=name)
            sockets[name] = await gateway.socket(key)

        async def ask(name: str, number: int, session: str = "") -> None:
            text = f"{name} {number}"
            await sockets[name].send(
                "message", text=text, channel_session_key=session or text, client_message_id=text, follow_up="queue"
            )
            await sockets[name].next("accepted", client_message_id=text)

        await ask("Ann", 0, "same")
        # A message that waits for its session does not take the place of those that wait for theirs longer.
        await ask("Ann", 9, "same")
        for number in (1, 2, 3):
            await ask("Ann", number)
        await ask("Bob", 1)
        await ask("Cem", 1)
        await ask("Bob", 2)
        gate.open()
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 8, TIMEOUT_S)
        assert [contents(gateway, number)[-1][1] for number in range(8)] == [
            "Ann 0", "Ann 1", "Bob 1", "Cem 1", "Ann 2", "Bob 2", "Ann 3", "Ann 9",
        ]  # fmt: skip


@pytest.mark.gen_test
async def test_a_turn_that_waits_for_a_place_can_be_stopped(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"turns": {"max_parallel": 1}}) as gateway:
        gateway.provider.play(script(Wait(gate), "Done."), script("Done."))
        socket = await gateway.socket()
        for name in ("a", "b", "c"):
            await socket.send("message", text=name, channel_session_key=name, client_message_id=name)
            taken = await socket.next("accepted", client_message_id=name)
            if name == "b":
                await socket.send("cancel", session_id=taken["session_id"])
                assert (await socket.next("stream_end", session_id=taken["session_id"]))["stopped"] is True
        assert gateway.state.agent.turns.running_count == 1
        gate.open()
        await socket.until("stream_end", session_id=taken["session_id"])
        assert [contents(gateway, number)[-1][1] for number in range(2)] == ["a", "c"]
        await gateway.state.agent.turns.halt(taken["session_id"])
        assert gateway.state.agent.turns.running_count == 0


@pytest.mark.gen_test
async def test_the_queue_of_a_session_has_an_end(tmp_path: Path) -> None:
    settings = {"followup_mode": "queue", "turns": {"queue_limit": 1}}
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script("1", Wait(gate)), script("2"))
        socket = await gateway.socket()
        await socket.send("message", text="first", channel_session_key="a")
        await socket.next("text_delta")
        await socket.send("message", text="second", channel_session_key="a")
        await socket.send("message", text="third", channel_session_key="a", client_message_id="m3")
        error = await socket.next("error")
        assert (error["status"], error["client_message_id"]) == (409, "m3")
        gate.open()
        await socket.until("stream_end")
        await socket.until("stream_end")


async def stop_and_time(gateway: Gateway, socket: Socket, session_id: str) -> dict[str, Any]:
    await socket.send("cancel", session_id=session_id)
    end = await socket.next("stream_end")
    assert await asyncio.to_thread(gateway.provider.requests[-1].closed.wait, 2.0), "the provider was left streaming"
    return end


@pytest.mark.gen_test
async def test_stop_before_the_first_token(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(Hang()))
        socket = await gateway.socket()
        await socket.send("message", text="think for ever", channel_session_key="a")
        start = await socket.next("stream_start")
        await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        end = await stop_and_time(gateway, socket, start["session_id"])
        assert end["stopped"] and not end["is_error"]
        assert rows(gateway, "SELECT state FROM turns") == [("stopped",)]
        gateway.provider.play(script("Fine."))
        assert said(await socket.say("again")) == "Fine."


@pytest.mark.gen_test
async def test_stop_in_mid_text_keeps_the_text_and_its_cost(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(ENDLESS)
        socket = await gateway.socket()
        await socket.send("message", text="talk", channel_session_key="a")
        before = await socket.until("text_delta")
        session_id = before[0]["session_id"]
        await socket.send("cancel", session_id=session_id)
        after = await socket.until("stream_end")
        text = said(before + after)
        assert after[-1]["stopped"] and after[-1]["output_tokens"] > 0
        assert await stored(gateway, session_id) == [("user", "talk"), ("assistant", text)]
        assert rows(gateway, "SELECT is_estimate, output_tokens > 0 FROM usage_stats") == [(1, 1)]
        assert rows(gateway, "SELECT count(*) FROM turn_journal") == [(0,)]
        gateway.provider.play(script("Yes?"))
        await socket.say("go on")
        assert contents(gateway) == [("user", "talk"), ("assistant", text), ("user", "go on")]


@pytest.mark.gen_test
async def test_stop_between_tool_calls_leaves_no_call_without_result(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(CallTool("FileList", call_id="c1")), script(Hang()))
        socket = await gateway.socket()
        await socket.send("message", text="look", channel_session_key="a")
        session_id = (await socket.next("tool_result"))["session_id"]
        await asyncio.to_thread(gateway.provider.wait_for_requests, 2)
        await stop_and_time(gateway, socket, session_id)
        gateway.provider.play(script("Fine."))
        await socket.say("again")
        assert [role for role, _ in contents(gateway)] == ["user", "assistant", "tool", "user"]


@pytest.mark.gen_test
async def test_a_waiting_turn_can_be_stopped_by_its_id(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"followup_mode": "queue"}) as gateway:
        gateway.provider.play(script("1", Wait(gate)))
        socket = await gateway.socket()
        await socket.send("message", text="first", channel_session_key="a")
        first = await socket.next("text_delta")
        await socket.send("message", text="second", channel_session_key="a", client_message_id="m2")
        second = await socket.next("accepted")
        await socket.send("cancel", session_id=first["session_id"], turn_id=second["turn_id"])
        assert (await socket.next("stream_end", turn_id=second["turn_id"]))["stopped"]
        gate.open()
        assert not (await socket.next("stream_end", turn_id=first["turn_id"]))["stopped"]
        assert len(gateway.provider.requests) == 1
        assert ("user", "second") in await stored(gateway, first["session_id"])


@pytest.mark.gen_test
async def test_a_turn_goes_on_when_its_socket_closes_and_is_marked_unread(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("to ", Wait(gate), "the end"))
        socket = await gateway.socket()
        await socket.send("message", text="go", channel_session_key="a")
        start = await socket.next("stream_start")
        await socket.next("text_delta")
        turn = gateway.state.agent.turns.find(start["turn_id"])
        assert turn is not None
        socket.close()
        async with asyncio.timeout(5):
            while turn.has_followers:  # noqa: ASYNC110 - nothing tells when a follower has left
                await asyncio.sleep(0)
        gate.open()
        await asyncio.wait_for(turn.ended.wait(), 5)
        assert await stored(gateway, start["session_id"]) == [("user", "go"), ("assistant", "to the end")]
        session = (await gateway.http.get(f"/api/sessions/{start['session_id']}")).json()
        assert session["is_read"] is False


@pytest.mark.gen_test
async def test_the_limit_of_tool_rounds_ends_a_turn_as_an_error(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings={"max_turns": 2}) as gateway:
        gateway.provider.play(script(CallTool("FileList")))
        end = (await (await gateway.socket()).say("loop"))[-1]
        assert (end["is_error"], end["num_turns"]) == (True, 2)
        assert len(gateway.provider.requests) == 2


@pytest.mark.gen_test
async def test_usage_is_booked_per_model_call(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(
            script(CallTool("FileList"), Usage(input=100, output=5, cache_read=40)), script("Done.", Usage(200, 7))
        )
        end = (await (await gateway.socket()).say("count"))[-1]
        assert (end["input_tokens"], end["output_tokens"], end["cache_read_input_tokens"]) == (340, 12, 40)
        sql = "SELECT input_tokens, output_tokens, cache_read, model, is_estimate FROM usage_stats ORDER BY id"
        assert rows(gateway, sql) == [(100, 5, 40, "m", 0), (200, 7, 0, "m", 0)]


@pytest.mark.gen_test
async def test_an_answer_of_a_stand_in_is_booked_under_its_name(tmp_path: Path) -> None:
    with OpenAIServer(script("From the second.")) as second:
        first = OpenAIServer(script(Fail(503)))
        settings = {
            "models": ["local/m", "other/m-two"],
            "providers": {"local": {"base_url": first.base_url}, "other": {"base_url": second.base_url}},
        }
        async with Gateway(tmp_path, first, settings=settings) as gateway:
            frames = await (await gateway.socket()).say("who answers?")
            assert (said(frames), frames[-1]["model"]) == ("From the second.", "other/m-two")
            assert rows(gateway, "SELECT provider, model FROM usage_stats") == [("other", "m-two")]


@pytest.mark.gen_test
async def test_running_turns_get_the_grace_time_when_the_gateway_stops(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"shutdown_grace_s": 5.0}) as gateway:
        gateway.provider.play(script("almost ", Wait(gate), "done"))
        socket = await gateway.socket()
        await socket.send("message", text="finish", channel_session_key="a")
        await socket.next("text_delta")
        stopping = asyncio.ensure_future(gateway.stop())
        assert (await socket.closed()).code == 1001
        gate.open()
        await stopping
        assert rows(gateway, "SELECT state FROM turns") == [("completed",)]
        assert ("almost done",) in rows(gateway, "SELECT content FROM session_messages WHERE role = 'assistant'")


@pytest.mark.gen_test
async def test_a_turn_cut_off_by_the_stop_keeps_what_it_said(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(ENDLESS)
        socket = await gateway.socket()
        await socket.send("message", text="talk", channel_session_key="a")
        await socket.next("text_delta")
        await gateway.stop()
        assert rows(gateway, "SELECT state FROM turns") == [("interrupted",)]
        [(text,)] = rows(gateway, "SELECT content FROM session_messages WHERE role = 'assistant'")
        assert text.startswith("tok0 ")


@pytest.mark.gen_test
async def test_a_full_disk_refuses_the_message_and_recovers(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        socket = await gateway.socket()
        await socket.say("before")

        def limit(connection: Any, pages: int) -> int:
            return int(connection.execute_sql(f"PRAGMA max_page_count = {pages}").fetchone()[0])

        pages = await gateway.state.database.run(limit, 1)
        answer = await gateway.http.post("/api/chat", json={"text": "x" * 50_000})
        assert answer.status_code == 503
        assert "disk" in answer.json()["error"] and str(tmp_path) not in answer.text
        assert (await gateway.http.get("/api/sessions")).status_code == 200
        await gateway.state.database.run(limit, 2**30)
        assert pages > 0
        assert said(await socket.say("after")) == "Hello."


@pytest.mark.gen_test
async def test_a_disk_that_fills_during_an_answer_is_told_and_the_end_is_stored_later(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("start ", Wait(gate), Say(("long " * 20_000,))))
        socket = await gateway.socket()
        await socket.send("message", text="go", channel_session_key="a")
        await socket.next("text_delta")

        def limit(connection: Any, pages: int) -> None:
            connection.execute_sql(f"PRAGMA max_page_count = {pages}").fetchone()

        await gateway.state.database.run(limit, 1)
        gate.open()
        end = (await socket.until("stream_end"))[-1]
        assert end["is_error"] and "disk" in end["errors"][0]
        await gateway.state.database.run(limit, 2**30)
        await gateway.state.agent.pulse()
        assert rows(gateway, "SELECT state FROM turns") == [("failed",)]
        gateway.provider.play(script("Fine."))
        assert said(await socket.say("again")) == "Fine."


@pytest.mark.gen_test
async def test_files_of_people_are_kept_apart(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(
            script(CallTool("Write", json.dumps({"file_path": "secret.txt", "content": "mine"}))), script("ok")
        )
        await (await gateway.socket()).say("write")
        _, key = await gateway.user()
        gateway.provider.play(script(CallTool("Read", json.dumps({"file_path": "secret.txt"}))), script("none"))
        frames = await (await gateway.socket(key)).say("read")
        result = next(frame for frame in frames if frame["type"] == "tool_result")
        assert result["is_error"] and "mine" not in result["content"]


@pytest.mark.gen_test
@pytest.mark.parametrize("status", [401, 404, 500])
async def test_a_call_that_was_refused_costs_nothing(tmp_path: Path, status: int) -> None:
    settings = {"provider_http": {"max_retries": 0}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script(Fail(status)))
        frames = await (await gateway.socket()).say("hi")
        assert frames[-1]["is_error"] and frames[-1]["cost_usd"] == 0 and frames[-1]["input_tokens"] == 0
        assert rows(gateway, "SELECT count(*) FROM usage_stats") == [(0,)]


@pytest.mark.gen_test
async def test_a_stop_is_stored_as_one_also_when_the_gateway_stops_at_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(Gate())))
        socket = await gateway.socket()
        await socket.send("message", text="x")
        start = await socket.next("stream_start")
        await socket.next("text_delta")
        [turn] = gateway.state.agent.turns._live.values()
        begun, may_go_on = threading.Event(), threading.Event()

        def hold(connection: peewee.Database) -> None:
            begun.set()
            may_go_on.wait(TIMEOUT_S)

        # The database is busy, so the end of the turn waits to be stored when the gateway is told to stop.
        busy = asyncio.ensure_future(gateway.state.database.run(hold))
        await asyncio.to_thread(begun.wait, TIMEOUT_S)
        await gateway.state.agent.stop(Viewer(None, True), start["session_id"])
        closing = asyncio.ensure_future(gateway.state.agent.turns.close(grace_s=0.0))
        await asyncio.wait([closing], timeout=0.1)
        may_go_on.set()
        await asyncio.gather(busy, closing)
        assert turn.end is not None and turn.end.stopped
        assert (await socket.next("stream_end"))["stopped"] is True
