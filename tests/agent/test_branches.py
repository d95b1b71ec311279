"""Answering again and editing: what is shown, what the model is told, and that nothing is lost."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.agent.test_turns import contents, stored
from tests.agent.test_turns import rows as rows_of
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
        assert rows_of(gateway, "SELECT summary FROM compaction_log") == [("SUMMARY",)]
        await gateway.http.post(f"/api/sessions/{session_id}/edit", json=body)
        assert contents(gateway) == [("user", "other start")]


async def test_editing_a_message_keeps_the_files_that_came_with_it(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Seen."), script("Read."))
        socket = await gateway.socket()
        file = {"file_name": "plan.txt", "mime_type": "text/plain", "data": base64.b64encode(b"the plan").decode()}
        session_id = (await socket.say("look at this", attachments=[file]))[0]["session_id"]
        [(_, first)] = contents(gateway)
        assert first.startswith("look at this") and "plan.txt" in first
        rows = (await gateway.http.get(f"/api/sessions/{session_id}/messages")).json()
        body = {"message_id": rows[0]["id"], "text": "read this"}
        assert (await gateway.http.post(f"/api/sessions/{session_id}/edit", json=body)).json()["text"] == "Read."
        assert contents(gateway) == [("user", first.replace("look at this", "read this"))]
        again = await gateway.http.post(f"/api/sessions/{session_id}/regenerate", json={})
        assert again.status_code == 200
        assert contents(gateway) == [("user", first.replace("look at this", "read this"))]


async def test_a_turn_with_a_follow_up_is_answered_again_as_a_whole(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gate = Gate()
        gateway.provider.play(
            script("Half ", Wait(gate), "way."), script("Both."), script("Both again."), script("Edited.")
        )
        socket = await gateway.socket()
        await socket.send("message", text="first", channel_session_key="a")
        session_id = (await socket.next("text_delta"))["session_id"]
        await socket.send("message", text="and second", channel_session_key="a", client_message_id="f")
        await socket.next("accepted")
        gate.open()
        await socket.until("stream_end")
        assert [role for role, _ in await stored(gateway, session_id)].count("user") == 2
        await gateway.http.post(f"/api/sessions/{session_id}/regenerate", json={})
        assert [text for role, text in contents(gateway) if role == "user"] in (
            ["first", "and second"],
            ["first\n\nand second"],
        )
        assert [text for role, text in await stored(gateway, session_id) if role == "user"] == ["first", "and second"]
        rows = (await gateway.http.get(f"/api/sessions/{session_id}/messages")).json()
        follow_up = next(row["id"] for row in rows if row["content"] == "and second")
        body = {"message_id": follow_up, "text": "and third"}
        assert (await gateway.http.post(f"/api/sessions/{session_id}/edit", json=body)).status_code == 200
        said_now = [text for role, text in await stored(gateway, session_id) if role == "user"]
        assert said_now == ["first", "and third"]


async def test_editing_may_start_a_skill(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        folder = gateway.state.paths.skills_dir / "tea"
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text("---\nname: tea\ndescription: Brews\n---\nBoil the water.")
        gateway.provider.play(script("Hm."), script("Brewed."), script("Plain."))
        socket = await gateway.socket()
        session_id = (await socket.say("tea please"))[0]["session_id"]
        path = f"/api/sessions/{session_id}"
        rows = (await gateway.http.get(f"{path}/messages")).json()
        edited = await gateway.http.post(f"{path}/edit", json={"message_id": rows[0]["id"], "text": "/tea green"})
        assert edited.json()["text"] == "Brewed."
        assert "Boil the water." in contents(gateway)[-1][1]
        rows = (await gateway.http.get(f"{path}/messages")).json()
        assert rows[0]["content"] == "/tea green"
        await gateway.http.post(f"{path}/edit", json={"message_id": rows[0]["id"], "text": "no tea"})
        assert contents(gateway) == [("user", "no tea")]
