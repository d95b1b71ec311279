"""Sessions over HTTP: what is listed, read, marked, and kept from others."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.handlers.support import events_of
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Wait, script

pytestmark = pytest.mark.gen_test

SESSION_FIELDS = [
    "id",
    "created_at",
    "last_message_at",
    "is_closed",
    "summary",
    "title",
    "message_count",
    "channel",
    "channel_session_key",
    "user_id",
    "is_read",
    "is_archived",
    "triggered_by",
    "is_pinned",
]


async def chat(gateway: Gateway, text: str, session: str = "a", key: str | None = None) -> str:
    """Send a message and return the id of its session."""
    client = gateway.http if key is None else gateway.client(key)
    answer = await client.post("/api/chat", json={"text": text, "channel_session_key": session})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session_id"])


async def test_a_session_is_shown_with_all_its_fields(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = await chat(gateway, "hello \u00fcber there " + "x" * 100)
        session = (await gateway.http.get(f"/api/sessions/{session_id}")).json()
        assert list(session) == SESSION_FIELDS
        uuid.UUID(session["id"])
        me = (await gateway.http.get("/api/auth/verify")).json()["user"]["id"]
        assert session["created_at"].endswith("+00:00") and session["created_at"] <= session["last_message_at"]
        assert session["title"].startswith("hello \u00fcber there x") and session["title"].endswith("...")
        assert len(session["title"].encode()) <= 103
        del session["id"], session["created_at"], session["last_message_at"], session["title"]
        assert session == {
            "is_closed": False,
            "summary": None,
            "message_count": 1,
            "channel": "main",
            "channel_session_key": "a",
            "user_id": me,
            "is_read": session["is_read"],
            "is_archived": False,
            "triggered_by": None,
            "is_pinned": False,
        }


async def test_the_newest_conversation_comes_first(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        first, second = await chat(gateway, "one", "1"), await chat(gateway, "two", "2")
        assert [s["id"] for s in (await gateway.http.get("/api/sessions")).json()] == [second, first]
        assert await chat(gateway, "again", "1") == first
        listed = (await gateway.http.get("/api/sessions")).json()
        assert [(s["id"], s["message_count"]) for s in listed] == [(first, 2), (second, 1)]
        assert len((await gateway.http.get("/api/sessions?limit=1")).json()) == 1
        assert (await gateway.http.get("/api/sessions?limit=0")).json() == []


async def test_twenty_sessions_are_listed_unless_told_otherwise(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for number in range(22):
            await chat(gateway, "hello", str(number))
        assert len((await gateway.http.get("/api/sessions")).json()) == 20
        assert len((await gateway.http.get("/api/sessions?limit=100000")).json()) == 22


async def test_a_message_without_a_key_begins_a_new_session(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        ids = [(await gateway.http.post("/api/chat", json={"text": "x"})).json()["session_id"] for _ in range(2)]
        assert len(set(ids)) == 2


async def test_channels_are_apart(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for channel, stored in (("web", "main"), ("scheduler", "main"), ("telegram", "telegram"), ("email", "email")):
            body = {"text": "x", "channel_id": channel, "channel_session_key": f"k-{stored}"}
            session_id = (await gateway.http.post("/api/chat", json=body)).json()["session_id"]
            assert (await gateway.http.get(f"/api/sessions/{session_id}")).json()["channel"] == stored
        assert len((await gateway.http.get("/api/sessions")).json()) == 3


async def test_messages_are_in_order_and_tool_rows_hold_json(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Let me see.", CallTool("FileList", call_id="c1")), script("Nothing there."))
        session_id = await chat(gateway, "what is there?")
        messages = (await gateway.http.get(f"/api/sessions/{session_id}/messages")).json()
        assert [m["role"] for m in messages] == ["user", "assistant", "tool_use", "tool_result", "assistant"]
        assert [m["id"] for m in messages] == sorted(m["id"] for m in messages)
        assert {"id", "session_id", "role", "content", "timestamp"} <= set(messages[0])
        assert {m["session_id"] for m in messages} == {session_id}
        assert messages[0]["content"] == "what is there?" and messages[-1]["content"] == "Nothing there."
        assert '"type":"tool_use"' in messages[2]["content"].replace(" ", "")
        assert '"tool_use_id":"c1"' in messages[3]["content"].replace(" ", "")


async def test_messages_can_be_read_page_by_page(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for number in range(5):
            session_id = await chat(gateway, f"message {number}")
        path = f"/api/sessions/{session_id}/messages"
        everything = (await gateway.http.get(path)).json()
        assert len(everything) == 10
        pages: list[list[dict[str, Any]]] = []
        before = 2**53
        while page := (await gateway.http.get(f"{path}?limit=4&before={before}")).json():
            pages.insert(0, page)
            before = page[0]["id"]
        assert [len(page) for page in pages] == [2, 4, 4]
        assert [message for page in pages for message in page] == everything
        assert (await gateway.http.get(f"{path}?limit=3")).json() == everything[-3:]
        assert (await gateway.http.get(f"{path}?before={everything[2]['id']}")).json() == everything[:2]


async def test_the_read_flag_goes_back_and_forth(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = await chat(gateway, "hello")
        for body, is_read in (({"is_read": False}, False), ({}, True), ({"is_read": False}, False)):
            answer = await gateway.http.post(f"/api/sessions/{session_id}/read", json=body)
            assert (answer.status_code, answer.json()) == (200, {"ok": True})
            assert (await gateway.http.get(f"/api/sessions/{session_id}")).json()["is_read"] is is_read
            assert (await gateway.http.get("/api/sessions")).json()[0]["is_read"] is is_read


async def test_an_archived_session_leaves_the_list_and_comes_back(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = await chat(gateway, "hello")
        assert (await gateway.http.post(f"/api/sessions/{session_id}/archive", json={})).json() == {"ok": True}
        assert (await gateway.http.get("/api/sessions")).json() == []
        assert (await gateway.http.get(f"/api/sessions/{session_id}")).json()["is_archived"] is True
        await gateway.http.post(f"/api/sessions/{session_id}/archive", json={"archived": False})
        assert [s["id"] for s in (await gateway.http.get("/api/sessions")).json()] == [session_id]


async def test_unknown_sessions_are_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for session_id in ("unknown", str(uuid.uuid4()), "..", "%2e%2e%2f", "%00", "%ff", "'%20OR%201=1", "x" * 200):
            base = f"/api/sessions/{session_id}"
            answers = [await gateway.http.get(base), await gateway.http.get(f"{base}/events")]
            answers += [await gateway.http.post(f"{base}/{verb}", json={}) for verb in ("read", "archive", "stop")]
            for answer in answers:
                assert answer.status_code in ((404, 405, 400) if session_id == ".." else (404, 400)), answer.url
                assert list(answer.json()) == ["error"], answer.url
        assert (await gateway.http.get("/api/sessions/unknown/messages")).json() == []


async def test_nobody_sees_or_touches_the_sessions_of_others(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (_, ada), (_, ben) = await gateway.user(), await gateway.user()
        session_id = await chat(gateway, "my secret", key=ada)
        base = f"/api/sessions/{session_id}"
        assert len((await gateway.client(ada).get(f"{base}/messages")).json()) == 2
        for other in (gateway.client(ben), gateway.http):
            assert (await other.get("/api/sessions")).json() == []
            assert (await other.get(f"{base}/messages")).json() == []
            unknown = await other.get(f"/api/sessions/{uuid.uuid4()}")
            for answer in (
                await other.get(base),
                await other.get(f"{base}/events"),
                await other.post(f"{base}/read", json={"is_read": False}),
                await other.post(f"{base}/archive", json={}),
                await other.post(f"{base}/stop", json={}),
            ):
                assert answer.status_code == 404, answer.url
                assert answer.json()["error"].replace(session_id, "") == unknown.json()["error"].replace(
                    str(unknown.url).rpartition("/")[2], ""
                )
        mine = (await gateway.client(ada).get(base)).json()
        assert (mine["is_archived"], mine["is_read"]) == (False, True)


async def test_the_same_session_key_of_two_users_means_two_sessions(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (_, ada), (_, ben) = await gateway.user(), await gateway.user()
        assert await chat(gateway, "x", key=ada) != await chat(gateway, "x", key=ben)


async def test_a_turn_can_be_stopped_by_http(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("so far", Wait(gate)))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        delta = await socket.next("text_delta")
        stop = f"/api/sessions/{delta['session_id']}/stop"
        assert (await gateway.http.post(stop, json={"turn_id": "other"})).json() == {"stopped": False}
        assert (await gateway.http.post(stop, json={"turn_id": delta["turn_id"]})).json() == {"stopped": True}
        assert (await socket.next("stream_end"))["stopped"] is True
        assert (await gateway.http.post(stop, json={})).json() == {"stopped": False}
        gate.open()


async def test_a_turn_can_be_followed_as_server_sent_events(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        delta = await socket.next("text_delta")
        path = f"/api/sessions/{delta['session_id']}/events"
        async with gateway.http.stream("GET", path) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            gate.open()
            whole = events_of(await answer.aread())
        assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
        assert whole[-1]["type"] == "stream_end"
        again = await gateway.http.get(path, params={"turn_id": delta["turn_id"], "after": delta["seq"]})
        assert events_of(again.content) == whole[delta["seq"] :]
        resumed = await gateway.http.get(path, headers={"Last-Event-ID": str(delta["seq"])})
        assert events_of(resumed.content) == whole[delta["seq"] :]
        odd = await gateway.http.get(path, headers=[(b"Last-Event-ID", "\u0661nonsense".encode())])
        assert events_of(odd.content) == whole
        assert (await gateway.http.get(path, params={"turn_id": "unknown"})).status_code == 404


async def test_the_turns_of_a_session_tell_what_they_cost(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello."))
        answer = (await gateway.http.post("api/chat", json={"text": "hi"})).json()
        (turn,) = (await gateway.http.get(f"api/sessions/{answer['session_id']}/turns")).json()
        assert turn["state"] == "completed" and turn["cost_usd"] == answer["usage"]["cost_usd"]
        assert turn["output_tokens"] == answer["usage"]["output_tokens"]
        stranger = gateway.client((await gateway.user())[1])
        assert (await stranger.get(f"api/sessions/{answer['session_id']}/turns")).status_code == 404
