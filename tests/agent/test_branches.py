"""Answering again and editing: what is shown, what the model is told, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.test_turns import contents, stored
from tests.gateway import Gateway, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script

pytestmark = pytest.mark.gen_test


async def test_the_last_answer_is_made_again_and_both_stay(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("One."), script("Two."), script("Zwei."), script("Three."), script("Four."))
        socket = await gateway.socket()
        session_id = (await socket.say("first"))[0]["session_id"]
        await socket.say("second")
        await socket.send("regenerate", session_id=session_id, client_message_id="again")
        accepted = await socket.next("accepted")
        assert said(await socket.until("stream_end")) == "Zwei."
        past = [("user", "first"), ("assistant", "One."), ("user", "second")]
        assert contents(gateway) == past
        assert await stored(gateway, session_id) == [*past, ("assistant", "Zwei.")]
        await socket.send("regenerate", session_id=session_id, client_message_id="again")
        assert (await socket.next("accepted"))["turn_id"] == accepted["turn_id"]
        await socket.next("stream_end")
        branches = (await gateway.http.get(f"/api/sessions/{session_id}/branches")).json()
        assert [branch["is_active"] for branch in branches] == [False, True]
        await socket.say("third")
        assert contents(gateway) == [*past, ("assistant", "Zwei."), ("user", "third")]
        path = f"/api/sessions/{session_id}/branches/{branches[0]['turn_id']}/activate"
        assert [branch["is_active"] for branch in (await gateway.http.post(path)).json()] == [True, False]
        assert await stored(gateway, session_id) == [*past, ("assistant", "Two.")]
        await gateway.stop()
        await gateway.start()
        await (await gateway.socket()).say("fourth")
        assert contents(gateway) == [*past, ("assistant", "Two."), ("user", "fourth")]


async def test_an_earlier_message_is_edited_and_the_talk_goes_on_from_there(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(*(script(text) for text in ("One.", "Two.", "Eins.", "Last.")))
        socket = await gateway.socket()
        session_id = (await socket.say("first"))[0]["session_id"]
        await socket.say("second")
        path = f"/api/sessions/{session_id}"
        rows = (await gateway.http.get(f"{path}/messages")).json()
        body = {"message_id": rows[0]["id"], "text": "erste", "client_message_id": "e"}
        answer = (await gateway.http.post(f"{path}/edit", json=body)).json()
        assert answer["text"] == "Eins." and contents(gateway) == [("user", "erste")]
        assert (await gateway.http.post(f"{path}/edit", json=body)).json()["turn_id"] == answer["turn_id"]
        assert await stored(gateway, session_id) == [("user", "erste"), ("assistant", "Eins.")]
        old = (await gateway.http.get(f"{path}/branches")).json()[0]
        await gateway.http.post(f"{path}/branches/{old['turn_id']}/activate")
        assert [content for _, content in await stored(gateway, session_id)] == ["first", "One.", "second", "Two."]
        wrong = body | {"message_id": rows[1]["id"], "client_message_id": None}
        assert (await gateway.http.post(f"{path}/edit", json=wrong)).status_code in (400, 422)


async def test_a_busy_session_is_not_branched(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gate = Gate()
        gateway.provider.play(script("Slow ", Wait(gate), "answer."))
        socket = await gateway.socket()
        await socket.send("message", text="go")
        session_id = (await socket.next("text_delta"))["session_id"]
        answer = await gateway.http.post(f"/api/sessions/{session_id}/regenerate", json={})
        assert answer.status_code == 409
        gate.open()
        await socket.next("stream_end")


async def test_summaries_of_another_branch_are_not_told(tmp_path: Path) -> None:
    settings = {"compaction": {"context_budget": 1000, "min_keep_messages": 2, "memory_flush": False}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        socket = await gateway.socket()
        long = "word " * 1500
        gateway.provider.play(script("A."), script("B."), script("SUMMARY"), script("C."), script("D."))
        session_id = (await socket.say("start"))[0]["session_id"]
        await socket.say("small")
        await socket.say(long)
        rows = (await gateway.http.get(f"/api/sessions/{session_id}/messages")).json()
        body = {"message_id": rows[0]["id"], "text": "other start"}
        gateway.provider.play(script("D."))
        await gateway.http.post(f"/api/sessions/{session_id}/edit", json=body)
        assert contents(gateway) == [("user", "other start")]
