"""Turns on `/ws`: the events and their fields, several at once, coming back to them, and files both ways."""

from __future__ import annotations

import asyncio
import base64
import json
import socket as sockets
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import PROVIDER_KEY, Gateway, kinds, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Burst, CallTool, Cut, Fail, Gate, Script, Usage, Wait, script

pytestmark = pytest.mark.gen_test

PLACE = ["session_id", "turn_id", "seq"]
STREAM_END = [
    "type",
    "num_turns",
    "cost_usd",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "is_error",
    "errors",
    "stopped",
    "interrupted",
    "model",
    *PLACE,
]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def attachment(name: str, data: bytes, mime_type: str = "text/plain") -> dict[str, str]:
    return {"file_name": name, "mime_type": mime_type, "data": base64.b64encode(data).decode()}


def untold(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Frames without what differs from turn to turn."""
    return [{name: value for name, value in frame.items() if name not in PLACE} for frame in frames]


async def test_a_plain_answer_is_start_deltas_and_end(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hel", "lo.", Usage(input=7, output=5, cache_read=30)))
        start, *deltas, end = await (await gateway.socket()).say("hi")
        assert list(start) == ["type", *PLACE] and start["type"] == "stream_start"
        assert all(list(delta) == ["type", "text", *PLACE] and delta["type"] == "text_delta" for delta in deltas)
        assert said(deltas) == "Hello."
        assert list(end) == STREAM_END
        uuid.UUID(start["session_id"])
        uuid.UUID(start["turn_id"])
        assert [frame["seq"] for frame in (start, *deltas, end)] == list(range(1, len(deltas) + 3))
        assert len({(frame["session_id"], frame["turn_id"]) for frame in (start, *deltas, end)}) == 1
        (untold_end,) = untold([end])
        assert untold_end == {
            "type": "stream_end",
            "num_turns": 0,
            "cost_usd": 0.0,
            "input_tokens": 37,
            "output_tokens": 5,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 0,
            "is_error": False,
            "errors": [],
            "stopped": False,
            "interrupted": False,
            "model": "local/m",
        }


async def test_tool_calls_come_between_the_texts(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.home / "documents" / "long.txt").write_text("\u00e9" * 400)
        arguments = {"path": "documents/long.txt"}
        gateway.provider.play(
            script("Let me see.", CallTool("FileRead", json.dumps(arguments), "c1"), Usage(1, 2)),
            script(CallTool("Nonexistent", "{}", "c2"), Usage(1, 2)),
            script("Done.", Usage(1, 2)),
        )
        frames = await (await gateway.socket()).say("read it")
        assert kinds(frames) == [
            "stream_start",
            "text_delta",
            "tool_use",
            "tool_result",
            "tool_use",
            "tool_result",
            "text_delta",
            "stream_end",
        ]
        use, result, unknown, failed = untold([frame for frame in frames if frame["type"].startswith("tool_")])
        assert use == {"type": "tool_use", "id": "c1", "name": "FileRead", "input": arguments}
        assert result["tool_use_id"] == "c1" and result["is_error"] is False
        assert list(result) == ["type", "tool_use_id", "content", "is_error"]
        assert result["content"].endswith("...") and len(result["content"].encode()) <= 503
        assert set(result["content"][:-3]) == {"\u00e9"}
        assert unknown["name"] == "Nonexistent"
        assert failed["tool_use_id"] == "c2" and failed["is_error"] is True and "Nonexistent" in failed["content"]
        end = frames[-1]
        assert (end["num_turns"], end["input_tokens"], end["output_tokens"]) == (2, 3, 6)
        assert end["is_error"] is False


async def test_an_accepted_message_is_acknowledged_before_its_events(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        frames = await (await gateway.socket()).say("hi", client_message_id="m1")
        assert kinds(frames) == ["accepted", "stream_start", "text_delta", "stream_end"]
        accepted = frames[0]
        assert (accepted["client_message_id"], accepted["is_duplicate"], accepted["is_follow_up"]) == (
            "m1",
            False,
            False,
        )
        assert {accepted["turn_id"]} == {frame["turn_id"] for frame in frames}
        (row, _) = (await gateway.http.get(f"/api/sessions/{accepted['session_id']}/messages")).json()
        assert (row["id"], row["content"]) == (accepted["message_id"], "hi")


async def test_two_sessions_run_side_by_side_on_one_socket(tmp_path: Path) -> None:
    first, second = Gate(), Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("a1 ", Wait(first), "a2"), script("b1 ", Wait(second), "b2"))
        socket = await gateway.socket()
        await socket.send("message", text="a", channel_session_key="a")
        frames = await socket.until("text_delta")
        a = frames[-1]["session_id"]
        await socket.send("message", text="b", channel_session_key="b")
        frames += await socket.until("text_delta")
        b = frames[-1]["session_id"]
        assert a != b
        second.open()
        frames += await socket.until("stream_end")
        assert frames[-1]["session_id"] == b
        first.open()
        frames += await socket.until("stream_end")
        for session_id, text in ((a, "a1 a2"), (b, "b1 b2")):
            mine = [frame for frame in frames if frame["session_id"] == session_id]
            assert said(mine) == text and [frame["seq"] for frame in mine] == list(range(1, len(mine) + 1))


async def test_two_messages_of_one_session_run_one_after_the_other(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"followup_mode": "queue"}) as gateway:
        gateway.provider.play(script(Wait(gate), "one"), script("two"))
        socket = await gateway.socket()
        for text in ("a", "b"):
            await socket.send("message", text=text, channel_session_key="s", client_message_id=text)
            await socket.next("accepted")
        gate.open()
        frames = await socket.until("stream_end")
        assert said(frames) == "one"
        assert said(await socket.until("stream_end")) == "two"


async def test_stop_ends_a_stream_and_keeps_what_was_said(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("so far", Wait(gate), "never"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        delta = await socket.next("text_delta")
        await socket.send("cancel", session_id=delta["session_id"])
        end = await socket.next("stream_end")
        assert (end["stopped"], end["is_error"], end["interrupted"], end["errors"]) == (True, False, False, [])
        assert await asyncio.to_thread(gateway.provider.requests[0].closed.wait, 5)
        rows = (await gateway.http.get(f"/api/sessions/{delta['session_id']}/messages")).json()
        assert [row["content"] for row in rows] == ["x", "so far"]
        await socket.send("cancel", session_id=delta["session_id"])
        assert await socket.next() == {"type": "not_running", "session_id": delta["session_id"]}
        gate.open()


async def test_a_waiting_message_can_be_taken_back(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"followup_mode": "queue"}) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"), script("never"))
        socket = await gateway.socket()
        await socket.send("message", text="a", channel_session_key="s", client_message_id="a")
        first = await socket.next("text_delta")
        await socket.send("message", text="b", channel_session_key="s", client_message_id="b")
        second = await socket.next("accepted")
        await socket.send("cancel", session_id=second["session_id"], turn_id=second["turn_id"])
        end = await socket.next("stream_end")
        assert (end["turn_id"], end["stopped"]) == (second["turn_id"], True)
        gate.open()
        rest = await socket.until("stream_end", turn_id=first["turn_id"])
        assert said(rest) == "two" and rest[-1]["stopped"] is False
        assert len(gateway.provider.requests) == 1


async def test_a_full_queue_refuses_the_next_message(tmp_path: Path) -> None:
    gate = Gate()
    settings = {"followup_mode": "queue", "turns": {"queue_limit": 1}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script(Wait(gate), "one"), script("two"))
        socket = await gateway.socket()
        for name in ("a", "b"):
            await socket.send("message", text=name, channel_session_key="s", client_message_id=name)
            await socket.next("accepted")
        await socket.send("message", text="c", channel_session_key="s", client_message_id="c")
        error = await socket.next("error")
        assert (error["status"], error["client_message_id"]) == (409, "c")
        gate.open()
        assert said(await socket.until("stream_end")) == "one"
        assert said(await socket.until("stream_end")) == "two"


async def test_only_its_owner_stops_or_follows_a_turn(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (_, ada), (_, ben) = await gateway.user(), await gateway.user()
        gateway.provider.play(script("one ", Wait(gate), "two"))
        mine = await gateway.socket(ada)
        await mine.send("message", text="x", channel_session_key="a")
        delta = await mine.next("text_delta")
        for key in (ben, gateway.key):
            other = await gateway.socket(key)
            for kind in ("cancel", "resume"):
                for ids in ({}, {"turn_id": delta["turn_id"]}):
                    await other.send(kind, session_id=delta["session_id"], **ids)
                    foreign = await other.next()
                    await other.send(kind, session_id=str(uuid.uuid4()), **ids)
                    unknown = await other.next()
                    assert (foreign["type"], foreign["status"]) == ("error", 404)
                    assert (unknown["type"], unknown["status"]) == ("error", 404)
                    assert foreign.keys() == unknown.keys()
        gate.open()
        frames = await mine.until("stream_end")
        assert said(frames) == "two" and frames[-1]["stopped"] is False


async def test_a_turn_of_another_session_is_not_reached_through_ones_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, ada = await gateway.user()
        hers = (await (await gateway.socket(ada)).say("secret"))[-1]
        socket = await gateway.socket()
        mine = (await socket.say("mine"))[-1]
        await socket.send("resume", session_id=mine["session_id"], turn_id=hers["turn_id"])
        error = await socket.next()
        assert (error["type"], error["status"]) == ("error", 404)


async def test_a_second_socket_follows_from_where_it_says(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        first, whole, rest = await gateway.socket(), await gateway.socket(), await gateway.socket()
        await first.send("message", text="x", channel_session_key="a")
        frames = await first.until("text_delta")
        place = {"session_id": frames[-1]["session_id"], "turn_id": frames[-1]["turn_id"]}
        await whole.send("resume", session_id=place["session_id"])
        await rest.send("resume", **place, after=frames[-1]["seq"])
        assert [await whole.next() for _ in frames] == frames
        gate.open()
        tail = await first.until("stream_end")
        assert await whole.until("stream_end") == tail
        assert await rest.until("stream_end") == tail


async def test_resuming_twice_on_one_socket_does_not_double_the_events(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        frames = await socket.until("text_delta")
        for _ in range(2):
            await socket.send("resume", session_id=frames[-1]["session_id"], after=frames[-1]["seq"])
        # Unlike a ping, this waits for its turn behind the two.
        await socket.send("deny", session_id="nobody", approval_id="none")
        await socket.next("error")
        gate.open()
        frames += await socket.until("stream_end")
        assert said(frames) == "one two"
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}


async def test_a_turn_goes_on_without_its_socket_and_is_found_again(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        frames = await socket.until("text_delta")
        socket.close()
        gate.open()
        again = await gateway.socket()
        await again.send("resume", session_id=frames[-1]["session_id"], after=frames[-1]["seq"])
        frames += await again.until("stream_end")
        assert said(frames) == "one two"
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))


async def test_an_ended_turn_is_told_again(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Look.", CallTool("FileList")), script("Done."))
        frames = await (await gateway.socket()).say("x")
        socket = await gateway.socket()
        for after in (0, 2, len(frames) - 1):
            await socket.send("resume", session_id=frames[0]["session_id"], turn_id=frames[0]["turn_id"], after=after)
            assert await socket.until("stream_end") == frames[after:]
        await socket.send("resume", session_id=frames[0]["session_id"], after=10**6)
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}


async def test_a_turn_that_left_memory_is_told_from_storage(tmp_path: Path) -> None:
    settings = {"turns": {"retain_secs": 0.0, "retain_count": 0}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script("Lo", "ok.", CallTool("FileList")), script("Done."))
        socket = await gateway.socket()
        frames = await socket.say("x")
        await gateway.stop()
        await gateway.start()
        socket = await gateway.socket()
        await socket.send("resume", session_id=frames[0]["session_id"], turn_id=frames[0]["turn_id"])
        told = await socket.until("stream_end")
        assert kinds(told) == kinds(frames) and said(told) == said(frames)
        assert untold(told)[-1] | {"model": ""} == untold(frames)[-1] | {"model": ""}
        await socket.send("resume", session_id=frames[0]["session_id"], turn_id=frames[0]["turn_id"], after=3)
        assert (await socket.next())["type"] == "resync"


async def test_a_stored_end_names_the_model_as_a_live_one_does(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        end = (await (await gateway.socket()).say("x"))[-1]
        await gateway.stop()
        await gateway.start()
        socket = await gateway.socket()
        await socket.send("resume", session_id=end["session_id"])
        assert (await socket.next("stream_end"))["model"] == end["model"]


async def test_what_cannot_be_resumed_is_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        session_id = (await socket.say("x"))[-1]["session_id"]
        for ids in (
            {"session_id": "unknown"},
            {"session_id": "unknown", "after": 5},
            {"session_id": session_id, "turn_id": "unknown"},
            {"session_id": session_id, "turn_id": "\u00e9\x00"},
        ):
            await socket.send("resume", **ids)
            error = await socket.next()
            assert (error["type"], error["status"], error["session_id"]) == ("error", 404, ids["session_id"])


async def test_an_unknown_turn_is_told_also_to_those_who_were_further(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        session_id = (await socket.say("x"))[-1]["session_id"]
        await socket.send("resume", session_id=session_id, turn_id="unknown", after=5)
        assert (await socket.next())["type"] in ("error", "resync")


async def test_a_message_sent_again_joins_the_turn_of_the_first(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"), script("another"))
        message = {"text": "x", "channel_session_key": "a", "client_message_id": "m1"}
        first, second = await gateway.socket(), await gateway.socket()
        await first.send("message", **message)
        frames = await first.until("text_delta")
        await second.send("message", **message)
        accepted = await second.next()
        assert (accepted["type"], accepted["is_duplicate"]) == ("accepted", True)
        assert accepted["turn_id"] == frames[-1]["turn_id"]
        gate.open()
        frames += await first.until("stream_end")
        assert await second.until("stream_end") == frames[1:]
        third = await gateway.socket()
        await third.send("message", **message)
        assert (await third.next())["is_duplicate"] is True
        assert await third.until("stream_end") == frames[1:]
        assert len(gateway.provider.requests) == 1


async def test_a_message_sent_by_http_and_socket_at_once_is_answered_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("first"), script("second"))
        message = {"text": "x", "channel_session_key": "a", "client_message_id": "m1"}
        four = [await gateway.socket() for _ in range(4)]
        for socket in four:
            await socket.send("message", **message)
        answers = await asyncio.gather(*(gateway.http.post("/api/chat", json=message) for _ in range(4)))
        heard = [await socket.until("stream_end") for socket in four]
        turns = {answer.json()["turn_id"] for answer in answers} | {frames[-1]["turn_id"] for frames in heard}
        assert len(turns) == 1 and len(gateway.provider.requests) == 1
        assert {answer.json()["text"] for answer in answers} | {said(frames) for frames in heard} == {"first"}
        assert sum(not frames[0]["is_duplicate"] for frames in heard) <= 1


async def test_a_slow_reader_is_let_go_and_can_come_back(tmp_path: Path) -> None:
    gate = Gate()
    letters = tuple(f"{number:05d} ".ljust(60_000, "x") for number in range(150))
    settings = {"websocket": {"outbox_bytes": 65_536}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script("first ", Wait(gate), Burst(letters)))
        slow = await gateway.socket()
        # Else the kernel takes in megabytes for a reader who does not read.
        slow.stream.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16_384)
        await slow.send("message", text="x", channel_session_key="a")
        frames = await slow.until("text_delta")
        place = {"session_id": frames[-1]["session_id"], "turn_id": frames[-1]["turn_id"]}
        turn = gateway.state.agent.turns.find(place["turn_id"])
        assert turn is not None
        gate.open()
        # Nobody reads the slow socket until all of it was said: far more than the network's own buffers hold.
        async with asyncio.timeout(20):
            await turn.ended.wait()
        heard, closed = await slow.rest()
        assert closed.code == 1013
        frames += heard
        assert frames[-1]["type"] == "text_delta"
        again = await gateway.socket()
        await again.send("resume", **place, after=frames[-1]["seq"])
        frames += await again.until("stream_end")
        assert said(frames) == "first " + "".join(letters)
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))


async def test_files_of_a_message_are_saved_and_named_to_the_model(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        files = [attachment("plan.txt", b"the plan"), attachment("dot.png", PNG, "image/png")]
        frames = await (await gateway.socket()).say("look", attachments=files)
        assert frames[-1]["is_error"] is False
        saved = {path.name.split("_", 2)[2]: path for path in (gateway.home / "downloads").iterdir()}
        assert saved["plan.txt"].read_bytes() == b"the plan" and saved["dot.png"].read_bytes() == PNG
        shown = json.dumps(gateway.provider.requests[0].body["messages"][-1])
        for name, path in saved.items():
            assert f"Attached file: {name}" in shown and f"downloads/{path.name}" in shown
        rows = (await gateway.http.get(f"/api/sessions/{frames[-1]['session_id']}/messages")).json()
        assert rows[0]["content"] == "look"


async def test_a_message_may_be_only_a_file(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        frames = await (await gateway.socket()).say("", attachments=[attachment("a.txt", b"x")])
        assert frames[-1]["is_error"] is False


async def test_files_of_plain_users_stay_in_their_own_home(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        await (await gateway.socket(key)).say("keep", attachments=[attachment("a.txt", b"x")])
        assert not list((gateway.home / "downloads").iterdir())
        assert len(list((gateway.state.paths.users_dir / user.id / "home" / "downloads").iterdir())) == 1


async def test_refused_files_stop_their_message(tmp_path: Path) -> None:
    settings = {"attachments": {"max_file_size": 1024, "allowed_extensions": ["txt"]}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        socket = await gateway.socket()
        files = [attachment("big.txt", b"x" * 1025), attachment("a.exe", b"x"), attachment("fine.txt", b"x" * 1024)]
        await socket.send("message", text="x", attachments=files, client_message_id="m1")
        error = await socket.next()
        assert error["type"] == "error" and error["client_message_id"] == "m1"
        assert list(error["fields"]) == ["big.txt", "a.exe"]
        assert (
            "exceeds" in error["message"] and "File extension 'exe' is not allowed (allowed: txt)" in error["message"]
        )
        assert (await gateway.http.get("/api/sessions")).json() == []
        assert (await socket.say("x", attachments=files[2:]))[-1]["is_error"] is False


async def test_files_of_the_agent_follow_the_end_of_the_stream(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        big = bytes(range(256)) * 8000
        (gateway.home / "documents" / "plan.txt").write_text("the plan")
        (gateway.home / "documents" / "dot.png").write_bytes(PNG)
        (gateway.home / "documents" / "big.bin").write_bytes(big)
        calls = [
            CallTool("Attach", json.dumps({"path": f"documents/{n}"}), f"c-{n}")
            for n in ("plan.txt", "dot.png", "big.bin")
        ]
        gateway.provider.play(script(*calls), script("Here they are."))
        socket = await gateway.socket()
        frames = await socket.say("send them")
        files = [await socket.next() for _ in calls]
        assert [(file["type"], file["file_name"]) for file in files] == [
            ("attachment", "plan.txt"),
            ("attachment", "dot.png"),
            ("attachment", "big.bin"),
        ]
        assert [file["mime_type"] for file in files[:2]] == ["text/plain", "image/png"]
        assert [base64.b64decode(file["data"]) for file in files] == [b"the plan", PNG, big]
        assert list(files[0]) == ["type", "file_name", "mime_type", "data", *PLACE]
        assert [frame["seq"] for frame in frames + files] == list(range(1, len(frames) + 4))
        other = await gateway.socket()
        await other.send("resume", session_id=frames[-1]["session_id"], after=frames[-1]["seq"])
        assert [await other.next() for _ in files] == files


async def test_a_file_outside_the_home_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.home / "link.txt").symlink_to(tmp_path / "secret.txt")
        for path in ("../../secret.txt", str(tmp_path / "secret.txt"), "link.txt", "none.txt"):
            gateway.provider.play(script(CallTool("Attach", json.dumps({"path": path}))), script("I could not."))
            socket = await gateway.socket()
            frames = await socket.say("send it")
            (result,) = [frame for frame in frames if frame["type"] == "tool_result"]
            assert result["is_error"] is True and str(tmp_path) not in result["content"].replace(path, ""), path
            await socket.send("ping")
            assert await socket.next() == {"type": "pong"}


BAD_DAYS: dict[str, tuple[Script, str, str]] = {
    "401": (script(Fail(401, f"Incorrect API key provided: {PROVIDER_KEY}")), "Authentication failed", ""),
    "429": (script(Fail(429, "slow down")), "Rate limited", ""),
    "500": (script(Fail(500, "Traceback (most recent call last)")), "Server error", ""),
    "cut": (script("The answer is ", Cut("forty-")), "Connection failed", "The answer is "),
}


@pytest.mark.parametrize("day", BAD_DAYS)
async def test_a_providers_bad_day_ends_the_stream_with_plain_words(tmp_path: Path, day: str) -> None:
    answer_with, words, text = BAD_DAYS[day]
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(answer_with)
        socket = await gateway.socket()
        frames = await socket.say("x")
        end = frames[-1]
        assert (end["is_error"], end["stopped"], end["interrupted"]) == (True, False, False)
        assert len(end["errors"]) == 1 and end["errors"][0].startswith(words)
        assert said(frames) == text
        sent = json.dumps(frames)
        for secret in (PROVIDER_KEY, "Traceback", str(gateway.provider.port), str(tmp_path), ".py"):
            assert secret not in sent
        gateway.provider.play(script("Well again."))
        assert said(await socket.say("y")) == "Well again."


async def test_a_file_in_the_prompt_is_an_image_where_the_model_sees(tmp_path: Path) -> None:
    server = OpenAIServer()
    settings = {
        "models": ["openai/gpt-4o"],
        "providers": {"openai": {"base_url": f"{server.url}/v1"}},
    }
    async with Gateway(tmp_path, server, settings=settings) as gateway:
        frames = await (await gateway.socket()).say("look", attachments=[attachment("dot.png", PNG, "image/png")])
        assert frames[-1]["is_error"] is False, frames[-1]
        content = gateway.provider.requests[0].body["messages"][-1]["content"]
        images = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
        assert images == [f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]
