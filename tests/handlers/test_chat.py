"""`POST /api/chat`: the answer as JSON and as a stream, what is refused, and what a client sees of a provider's bad day."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from tests.gateway import PROVIDER_KEY, Gateway, kinds, said
from tests.handlers.support import events_of
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Cut, Fail, FailInStream, Gate, Hang, Script, Usage, Wait, script

pytestmark = pytest.mark.gen_test

STREAM = {"Accept": "text/event-stream"}


async def test_the_answer_is_text_session_and_usage(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hel", "lo.", Usage(input=7, output=5, cache_read=30)))
        answer = await gateway.http.post("/api/chat", json={"text": "hi", "channel_session_key": "a"})
        body = answer.json()
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
        assert body["text"] == "Hello."
        assert body["usage"] == {
            "input_tokens": 7,
            "output_tokens": 5,
            "cache_read_tokens": 30,
            "cache_write_tokens": 0,
            "cost_usd": body["usage"]["cost_usd"],
        }
        assert isinstance(body["usage"]["cost_usd"], float)
        assert "attachments" not in body
        assert (await gateway.http.get(f"/api/sessions/{body['session_id']}")).status_code == 200


async def test_all_texts_of_a_turn_are_joined_by_lines(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Let me see.", CallTool("FileList")), script("Nothing ", "there."))
        answer = await gateway.http.post("/api/chat", json={"text": "look"})
        assert answer.json()["text"] == "Let me see.\nNothing there."


async def test_the_answer_as_server_sent_events(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hel", "lo."))
        answer = await gateway.http.post("/api/chat", json={"text": "hi"}, headers=STREAM)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/event-stream")
        events = events_of(answer.content)
        assert kinds(events) == ["stream_start", "text_delta", "stream_end"]
        assert said(events) == "Hello."
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))


async def test_events_are_sent_as_they_come(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("early", Wait(gate), "late"))
        async with gateway.http.stream("POST", "/api/chat", json={"text": "hi"}, headers=STREAM) as answer:
            seen = ""
            async for text in answer.aiter_text():
                seen += text
                if "early" in seen:
                    gate.open()
        assert "late" in seen


async def test_a_turn_goes_on_when_its_client_leaves(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("early ", Wait(gate), "late"))
        body = {"text": "hi", "channel_session_key": "a"}
        async with gateway.http.stream("POST", "/api/chat", json=body, headers=STREAM) as answer:
            async for text in answer.aiter_text():
                if "early" in text:
                    break
        (session,) = (await gateway.http.get("/api/sessions")).json()
        gate.open()
        events = events_of((await gateway.http.get(f"/api/sessions/{session['id']}/events")).content)
        assert said(events) == "early late" and events[-1]["is_error"] is False


async def test_a_waiting_client_is_answered_when_the_gateway_stops(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("so far", Wait(gate)))
        socket = await gateway.socket()
        body = {"text": "hi", "channel_session_key": "a"}
        waiting = asyncio.create_task(gateway.http.post("/api/chat", json=body))
        streaming = asyncio.create_task(
            gateway.http.post("/api/chat", json=body | {"channel_session_key": "b"}, headers=STREAM)
        )
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 2)
        for session in (await gateway.http.get("/api/sessions")).json():
            await socket.send("resume", session_id=session["id"])
            await socket.next("text_delta")
        await gateway.stop()
        gate.open()
        answer = (await waiting).json()
        assert (answer["text"], answer["is_error"]) == ("so far", True)
        events = events_of((await streaming).content)
        assert said(events) == "so far" and events[-1]["interrupted"] is True


async def test_an_unknown_model_is_named_and_nothing_is_stored(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for model in ("nobody/nothing", "nonsense", "a/b/c", "\u00e9" * 1000):
            answer = await gateway.http.post("/api/chat", json={"text": "hi", "model": model})
            assert answer.status_code == 422, answer.text
            assert answer.json()["error"] == f"Chat error: model {model} is not in the allowed list"
            assert "offline/assistant" in answer.json()["fields"]["model"]
        assert (await gateway.http.get("/api/sessions")).json() == []


async def test_a_named_model_is_used(tmp_path: Path) -> None:
    settings = {"models": ["local/m", "local/other"]}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script("hi"))
        await gateway.http.post("/api/chat", json={"text": "hi", "model": "local/other"})
        assert gateway.provider.requests[-1].body["model"] == "other"


async def test_a_user_is_who_the_key_says(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (ada, ada_key), (ben, ben_key) = await gateway.user(), await gateway.user()
        answer = await gateway.client(ada_key).post("/api/chat", json={"text": "hi", "user_id": ben.id})
        assert answer.status_code == 200
        (session,) = (await gateway.client(ada_key).get("/api/sessions")).json()
        assert session["user_id"] == ada.id
        assert (await gateway.client(ben_key).get("/api/sessions")).json() == []
        odd = await gateway.client(ada_key).post("/api/chat", json={"text": "hi", "user_id": "../../etc"})
        assert odd.status_code == 200


async def test_a_message_sent_twice_is_answered_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("first"), script("second"))
        body = {"text": "hi", "channel_session_key": "a", "client_message_id": "m1"}
        answers = [await gateway.http.post("/api/chat", json=body) for _ in range(2)]
        assert [a.json()["text"] for a in answers] == ["first", "first"]
        assert answers[0].json()["turn_id"] == answers[1].json()["turn_id"]
        streamed = await gateway.http.post("/api/chat", json=body, headers=STREAM)
        assert said(events_of(streamed.content)) == "first"
        assert len(gateway.provider.requests) == 1
        rows = (await gateway.http.get(f"/api/sessions/{answers[0].json()['session_id']}/messages")).json()
        assert [row["role"] for row in rows] == ["user", "assistant"]


async def test_a_message_sent_twice_at_once_is_answered_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("first"), script("second"))
        body = {"text": "hi", "channel_session_key": "a", "client_message_id": "m1"}
        answers = await asyncio.gather(*(gateway.http.post("/api/chat", json=body) for _ in range(8)))
        assert [a.json()["text"] for a in answers] == ["first"] * 8
        assert len({a.json()["turn_id"] for a in answers}) == 1
        assert len(gateway.provider.requests) == 1


async def test_a_message_sent_again_after_a_restart_is_answered_from_storage(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("first", Usage(3, 4)), script("second"))
        body = {"text": "hi", "channel_session_key": "a", "client_message_id": "m1"}
        before = (await gateway.http.post("/api/chat", json=body)).json()
        await gateway.stop()
        await gateway.start()
        after = (await gateway.http.post("/api/chat", json=body)).json()
        assert after == before


async def test_message_ids_of_two_users_do_not_meet(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, ada = await gateway.user()
        body = {"text": "hi", "client_message_id": "m1"}
        mine = await gateway.http.post("/api/chat", json=body)
        hers = await gateway.client(ada).post("/api/chat", json=body)
        assert mine.json()["turn_id"] != hers.json()["turn_id"]


async def test_files_come_in_with_a_message(tmp_path: Path) -> None:
    files = [
        {"file_name": "notes.txt", "mime_type": "text/plain", "data": base64.b64encode(b"remember").decode()},
        {"file_name": "../../evil\x00.txt", "mime_type": "nonsense", "data": ""},
    ]
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.post("/api/chat", json={"text": "hi", "attachments": files})
        assert answer.status_code == 200, answer.text
        saved = sorted((gateway.home / "downloads").iterdir())
        assert [path.name.split("_", 2)[2] for path in saved if path.name.endswith("notes.txt")] == ["notes.txt"]
        assert len(saved) == 2 and not any(".." in path.name or "/" in path.name for path in saved)
        assert {path.read_bytes() for path in saved} == {b"remember", b""}


async def test_files_that_may_not_come_in_are_refused_together(tmp_path: Path) -> None:
    settings = {"attachments": {"max_file_size": 1048576, "allowed_extensions": ["txt", "PNG"]}}
    big = base64.b64encode(b"x" * 1572864).decode()
    fits = base64.b64encode(b"x" * 1048576).decode()

    def file(name: str, data: str) -> dict[str, str]:
        return {"file_name": name, "mime_type": "text/plain", "data": data}

    async with Gateway(tmp_path, settings=settings) as gateway:
        files = [file("big.txt", big), file("run.exe", "QQ=="), file("none", "QQ=="), file("ok.txt", "QQ==")]
        answer = await gateway.http.post("/api/chat", json={"text": "hi", "attachments": files})
        assert answer.status_code == 422
        assert answer.json()["fields"] == {
            "big.txt": "File 'big.txt' exceeds 1.0 MB limit (1.5 MB)",
            "run.exe": "File extension 'exe' is not allowed (allowed: txt, png)",
            "none": "File extension '' is not allowed (allowed: txt, png)",
        }
        for data in ("!!!!", "QQ=", "Q", "\u00e9\u00e9\u00e9\u00e9"):
            answer = await gateway.http.post("/api/chat", json={"text": "hi", "attachments": [file("a.txt", data)]})
            assert answer.status_code == 422, data
            assert list(answer.json()["fields"]) == ["attachments.0.data"]
        many = await gateway.http.post("/api/chat", json={"text": "hi", "attachments": [file("a.txt", "QQ==")] * 51})
        assert many.status_code == 422
        assert (await gateway.http.get("/api/sessions")).json() == []
        assert not list((gateway.home / "downloads").iterdir())
        answer = await gateway.http.post("/api/chat", json={"text": "hi", "attachments": [file("A.TXT", fits)]})
        assert answer.status_code == 200


async def test_files_are_refused_where_they_are_switched_off(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"attachments": {"enabled": False}}) as gateway:
        file = {"file_name": "a.txt", "mime_type": "text/plain", "data": "QQ=="}
        answer = await gateway.http.post("/api/chat", json={"text": "hi", "attachments": [file]})
        assert answer.status_code == 422 and "Attachments are disabled" in answer.json()["error"]


async def test_a_file_of_the_agent_comes_with_the_answer(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.home / "documents" / "plan.txt").write_text("the plan")
        gateway.provider.play(
            script(CallTool("Attach", json.dumps({"path": "documents/plan.txt"}))), script("Here it is.")
        )
        body = (await gateway.http.post("/api/chat", json={"text": "send it"})).json()
        (file,) = body["attachments"]
        assert (file["file_name"], file["mime_type"]) == ("plan.txt", "text/plain")
        assert base64.b64decode(file["data"]) == b"the plan"


BAD_DAYS: dict[str, tuple[Script, str]] = {
    "401": (script(Fail(401, f"Incorrect API key provided: {PROVIDER_KEY}")), "Authentication failed"),
    "403": (script(Fail(403, f"key {PROVIDER_KEY} may not do this")), "Authentication failed"),
    "429": (script(Fail(429, "slow down", headers={"Retry-After": "7"})), "Rate limited"),
    "500": (script(Fail(500, 'Traceback (most recent call last):\n  File "/srv/x.py"')), "Server error"),
    "400": (script(Fail(400, "no such parameter")), "Invalid request"),
    "error in the stream": (script(FailInStream("overloaded")), ""),
    "cut before a word": (script(Cut()), "Connection failed"),
    "silence": (script(Hang()), "Timed out"),
}


@pytest.mark.parametrize("day", BAD_DAYS)
async def test_a_providers_bad_day_is_told_without_its_secrets(tmp_path: Path, day: str) -> None:
    answer_with, words = BAD_DAYS[day]
    settings = {"provider_http": {"first_event_timeout_secs": 0.3 if day == "silence" else 10.0}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(answer_with)
        body = {"text": "hi", "channel_session_key": "a"}
        answer = await gateway.http.post("/api/chat", json=body)
        assert answer.status_code == 502, answer.text
        assert answer.json()["error"].startswith(f"Chat error: {words}"), answer.text
        assert answer.json()["is_error"] is True
        streamed = events_of((await gateway.http.post("/api/chat", json=body, headers=STREAM)).content)
        assert streamed[-1]["type"] == "stream_end" and streamed[-1]["is_error"] is True
        assert streamed[-1]["errors"][0].startswith(words)
        for text in (answer.text, json.dumps(streamed)):
            for secret in (
                PROVIDER_KEY,
                "Traceback",
                str(gateway.provider.port),
                str(tmp_path),
                "site-packages",
                ".py",
            ):
                assert secret not in text
        gateway.provider.play(script("Well again."))
        assert (await gateway.http.post("/api/chat", json=body)).json()["text"] == "Well again."


async def test_what_was_said_before_the_connection_broke_is_kept(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("The answer is ", Cut("forty-")))
        answer = await gateway.http.post("/api/chat", json={"text": "hi", "channel_session_key": "a"})
        body = answer.json()
        assert (answer.status_code, body["is_error"]) == (200, True)
        assert body["text"].startswith("The answer is ") and body["errors"][0].startswith("Connection failed")
        rows = (await gateway.http.get(f"/api/sessions/{body['session_id']}/messages")).json()
        assert rows[-1]["role"] == "assistant" and rows[-1]["content"] == body["text"]


async def test_too_many_turns_end_with_an_error(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer(), settings={"max_turns": 2}) as gateway:
        gateway.provider.play(script("again ", CallTool("FileList")))
        body = (await gateway.http.post("/api/chat", json={"text": "loop"})).json()
        assert body["is_error"] is True and body["text"].startswith("again")
