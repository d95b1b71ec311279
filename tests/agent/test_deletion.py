"""Deleting messages: what people see, what the model is told, what is found, and that no tool call stays without its result."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_turns import contents, stored
from tests.agent.test_turns import rows as rows_of
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Wait, script

pytestmark = pytest.mark.gen_test

MARK = "[This message was deleted.]"


async def messages(gateway: Gateway, session_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await gateway.http.get(f"/api/sessions/{session_id}/messages")).json()
    return found


async def delete(gateway: Gateway, session_id: str, message_id: int, scope: str = "message") -> list[int]:
    answer = await gateway.http.delete(f"/api/sessions/{session_id}/messages/{message_id}", params={"scope": scope})
    assert answer.status_code == 200, answer.text
    found: list[int] = answer.json()["message_ids"]
    return found


async def test_a_message_is_gone_for_people_for_the_model_and_for_searches(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Noted, pangolin."), script("Fine."), script("I see."))
        socket = await gateway.socket(path="/ws?sessions=1", headers={"X-API-Key": gateway.key})
        session_id = (await socket.say("my secret is pangolin"))[0]["session_id"]
        await socket.say("how are you?")
        first, answer, *_ = await messages(gateway, session_id)
        assert (await gateway.http.get("/api/sessions/search", params={"q": "noted"})).json()
        assert await delete(gateway, session_id, first["id"]) == [first["id"]]
        gone = await socket.next("messages_deleted")
        assert (gone["session_id"], gone["message_ids"]) == (session_id, [first["id"]])
        assert await delete(gateway, session_id, answer["id"]) == [answer["id"]]
        assert await stored(gateway, session_id) == [("user", "how are you?"), ("assistant", "Fine.")]
        assert rows_of(gateway, "SELECT count(*) FROM model_messages WHERE message LIKE '%pangolin%'") == [(0,)]
        assert rows_of(gateway, "SELECT count(*) FROM turns WHERE text LIKE '%pangolin%'") == [(0,)]
        assert (await gateway.http.get("/api/sessions/search", params={"q": "noted"})).json() == []
        await socket.say("and now?")
        assert contents(gateway) == [("user", "how are you?"), ("assistant", "Fine."), ("user", "and now?")]


async def test_a_question_leaves_a_mark_for_the_model_an_answer_leaves_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("One."), script("Two."), script("Three."))
        socket = await gateway.socket()
        session_id = (await socket.say("first"))[0]["session_id"]
        await socket.say("second")
        rows = await messages(gateway, session_id)
        await delete(gateway, session_id, rows[0]["id"])
        await delete(gateway, session_id, rows[3]["id"])
        await gateway.stop()
        await gateway.start()
        await (await gateway.socket()).say("third")
        assert contents(gateway) == [("user", MARK), ("assistant", "One."), ("user", "second"), ("user", "third")]


@pytest.mark.parametrize("role", ["tool_use", "tool_result"])
async def test_a_tool_call_and_its_result_go_together(tmp_path: Path, role: str) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        twice = (CallTool("FileList", call_id="a"), CallTool("FileList", call_id="b"))
        gateway.provider.play(script("Let me look.", *twice), script("Empty."), script("Yes."))
        socket = await gateway.socket()
        session_id = (await socket.say("what is there?"))[0]["session_id"]
        rows = await messages(gateway, session_id)
        one = next(row for row in rows if row["role"] == role and '"b"' in row["content"])
        pair = [row["id"] for row in rows if row["role"].startswith("tool") and '"b"' in row["content"]]
        assert await delete(gateway, session_id, one["id"]) == pair
        left = [json.loads(text) for kind, text in await stored(gateway, session_id) if kind.startswith("tool")]
        assert [each.get("id") or each["tool_use_id"] for each in left] == ["a", "a"]
        await socket.say("sure?")
        shown = gateway.provider.requests[-1].body["messages"][1:]
        assert [call["id"] for message in shown for call in message.get("tool_calls", ())] == ["a"]
        assert [message["tool_call_id"] for message in shown if message["role"] == "tool"] == ["a"]


async def test_a_whole_answer_goes_also_when_a_step_of_it_went_before(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(
            script("Look. ", CallTool("FileList", call_id="a")), script("Empty."), script("Ja."), script("Again.")
        )
        socket = await gateway.socket()
        session_id = (await socket.say("what is there?"))[0]["session_id"]
        rows = await messages(gateway, session_id)
        step = next(row["id"] for row in rows if row["role"] == "tool_result")
        assert len(await delete(gateway, session_id, step)) == 2
        await socket.say("sure?")
        assert contents(gateway)[:-1] == [
            ("user", "what is there?"), ("assistant", "Look. "), ("user", MARK), ("assistant", "Empty."),
        ]  # fmt: skip
        assert len(await delete(gateway, session_id, rows[0]["id"], "answer")) == 2
        assert [text for _, text in await stored(gateway, session_id)] == ["what is there?", "sure?", "Ja."]
        await socket.say("go on")
        assert [text for _, text in contents(gateway)] == ["what is there?", "sure?", "Ja.", "go on"]


async def test_nothing_is_deleted_while_an_answer_is_made(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gate = Gate()
        gateway.provider.play(script("Slow ", Wait(gate), "answer."))
        socket = await gateway.socket()
        await socket.send("message", text="go")
        session_id = (await socket.next("text_delta"))["session_id"]
        (row,) = await messages(gateway, session_id)
        path = f"/api/sessions/{session_id}/messages/{row['id']}"
        answer = await gateway.http.delete(path)
        assert answer.status_code == 409 and "stop the running turn" in answer.json()["error"]
        gate.open()
        await socket.next("stream_end")
        assert (await gateway.http.delete(path)).status_code == 200
        retry = await gateway.http.post(f"/api/sessions/{session_id}/regenerate", json={})
        assert retry.status_code == 409 and "deleted" in retry.json()["error"]


async def test_only_the_owner_deletes_and_only_what_is_there(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = (await (await gateway.socket()).say("hello"))[0]["session_id"]
        _, key = await gateway.user("user")
        row = (await messages(gateway, session_id))[0]
        path = f"/api/sessions/{session_id}/messages"
        assert (await gateway.client(key).delete(f"{path}/{row['id']}")).status_code == 404
        assert (await gateway.client(None).delete(f"{path}/{row['id']}")).status_code == 401
        for wrong in ("0", "-1", "x", "9" * 30, f"{row['id']}.0"):
            assert (await gateway.http.delete(f"{path}/{wrong}")).status_code == 404
        assert (await gateway.http.delete(f"{path}/{row['id']}", params={"scope": "all"})).status_code in (400, 422)
        other = (await (await gateway.socket()).say("elsewhere", session="b"))[0]["session_id"]
        assert (await gateway.http.delete(f"/api/sessions/{other}/messages/{row['id']}")).status_code == 404
        assert len(await messages(gateway, session_id)) == 2


async def test_files_go_with_the_message_that_brought_them(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Nice."), script("Again."), script("Ok."))
        socket = await gateway.socket()
        data = base64.b64encode(b"a,b\n1,2\n").decode()
        file = {"file_name": "numbers.csv", "mime_type": "text/csv", "data": data}
        await socket.send("message", text="see this", attachments=[file])
        session_id = (await socket.next("stream_end"))["session_id"]
        await socket.send("regenerate", session_id=session_id)
        await socket.next("stream_end")
        saved = next((gateway.home / "downloads").iterdir())
        first = (await messages(gateway, session_id))[0]
        await delete(gateway, session_id, first["id"])
        assert saved.exists(), "the other version of the message still has it"
        await delete(gateway, session_id, first["id"] + 1)
        # Nothing is left of this version, so the other one is shown.
        rows = await messages(gateway, session_id)
        assert [row["content"] for row in rows] == ["see this", "Nice."]
        await delete(gateway, session_id, rows[0]["id"])
        assert not saved.exists()
        assert (await gateway.http.get(f"/api/sessions/{session_id}/files")).json() == []
        await socket.say("thanks")
        assert "numbers.csv" not in json.dumps(gateway.provider.requests[-1].body)


async def test_a_summary_that_told_of_it_is_not_told_any_more(tmp_path: Path) -> None:
    settings = {"compaction": {"context_budget": 400, "min_keep_messages": 2, "memory_flush": False}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        long = "word " * 600
        gateway.provider.play(script(long), script("A summary of pangolins."), script("Two."), script("Now."))
        socket = await gateway.socket()
        session_id = (await socket.say("pangolins " + long))[0]["session_id"]
        await socket.say("second")
        assert any("summary of pangolins" in text for _, text in contents(gateway))
        rows = await messages(gateway, session_id)
        await delete(gateway, session_id, rows[0]["id"])
        await delete(gateway, session_id, rows[1]["id"])
        await socket.say("third")
        assert contents(gateway) == [("user", "second"), ("assistant", "Two."), ("user", "third")]
