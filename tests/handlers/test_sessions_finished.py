"""Sessions over HTTP: found, renamed, pinned, deleted and brought back, exported."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes import FakeClock
from tests.gateway import Gateway
from tests.handlers.test_sessions import chat
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Gate, Wait, script

pytestmark = pytest.mark.gen_test
NASTY = "```\n# not a heading\r\n</details><script>alert(1)</script>\n````md\n> quote\n---\n\u2028end"


async def test_words_are_found_in_messages_and_titles_of_ones_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        boiler = await chat(gateway, "Did the plumber repair the boiler in March?", "1")
        chinese = await chat(gateway, "锅炉坏了,请找人修理", "2")
        french = await chat(gateway, "une crème brûlée pour dix", "3")
        _, key = await gateway.user()
        theirs = await chat(gateway, "my boiler too", "4", key)
        for text, session_id in (("boiler plumber", boiler), ("锅炉", chinese), ("creme brulee", french)):
            found = (await gateway.http.get("/api/sessions/search", params={"q": text})).json()
            assert found[0]["session_id"] == session_id and theirs not in {hit["session_id"] for hit in found}
            assert found[0]["marks"]
        renamed = await gateway.http.patch(f"/api/sessions/{french}", json={"title": "Dessert \n plans"})
        assert renamed.json()["title"] == "Dessert plans"
        hit = (await gateway.http.get("/api/sessions/search?q=dessert")).json()[0]
        assert (hit["session_id"], hit["message_id"], hit["snippet"]) == (french, None, "Dessert plans")
        them = (await gateway.client(key).get("/api/auth/verify")).json()["user"]["id"]
        by_name = await gateway.http.get("/api/sessions/search", params={"q": "boiler", "user": them})
        assert [hit["session_id"] for hit in by_name.json()] == [theirs]
        assert (await gateway.client(key).get("/api/sessions/search?q=x&user=admin")).status_code == 403


@pytest.mark.parametrize("text", ["", '"', "*", "a AND", "NEAR(", "-", "col:x", "🎉", "'; DROP", "x" * 30_000, "\x00"])
async def test_any_text_is_a_query(tmp_path: Path, text: str) -> None:
    async with Gateway(tmp_path) as gateway:
        await chat(gateway, "hello")
        assert (await gateway.http.get("/api/sessions/search", params={"q": text})).status_code == 200


async def test_pinned_and_archived_sessions_have_lists_and_pages(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        ids = [await chat(gateway, "x", str(number)) for number in range(5)][::-1]
        pages, before = [], ""
        while page := (await gateway.http.get(f"/api/sessions?limit=2{before}")).json():
            pages.append([session["id"] for session in page])
            before = f"&before={page[-1]['id']}"
        assert pages == [ids[:2], ids[2:4], ids[4:]]
        await gateway.http.patch(f"/api/sessions/{ids[3]}", json={"is_pinned": True})
        await gateway.http.post(f"/api/sessions/{ids[1]}/archive", json={})
        for query, expected in (("pinned=true", ids[3]), ("archived=true", ids[1])):
            assert [s["id"] for s in (await gateway.http.get(f"/api/sessions?{query}")).json()] == [expected]
        assert (await gateway.http.get("/api/sessions?archived=perhaps")).status_code == 400


async def test_a_deleted_session_is_gone_at_once_and_can_be_restored(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = await chat(gateway, "a secret boiler")
        path = f"/api/sessions/{session_id}"
        assert (await gateway.http.delete(path)).status_code == 204
        assert (await gateway.http.get(path)).status_code == 404
        assert (await gateway.http.get(f"{path}/export")).status_code == 404
        assert (await gateway.http.delete(path)).status_code == 404
        for listed in ("/api/sessions", f"{path}/messages", "/api/sessions/search?q=boiler"):
            assert (await gateway.http.get(listed)).json() == []
        assert (await gateway.http.post(f"{path}/restore")).json()["is_closed"] is False
        assert await chat(gateway, "again") == session_id
        await gateway.http.delete(path)
        assert await chat(gateway, "anew") != session_id
        assert (await gateway.http.post(f"{path}/restore")).json()["is_closed"] is True


async def test_purging_removes_words_and_files_but_not_costs(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Gateway(tmp_path, clock=clock) as gateway:
        file = {"file_name": "a.txt", "mime_type": "text/plain", "data": base64.b64encode(b"x").decode()}
        body = {"text": "a zebra", "channel_session_key": "a", "attachments": [file]}
        first = (await gateway.http.post("/api/chat", json=body)).json()["session_id"]
        second = await chat(gateway, "another zebra", "b")
        await gateway.http.get("/api/sessions/search?q=zebra")
        assert len(list((gateway.home / "downloads").iterdir())) == 1
        assert (await gateway.http.delete(f"/api/sessions/{first}?permanent=true")).status_code == 204
        await gateway.http.delete(f"/api/sessions/{second}")
        assert await gateway.state.agent.purge_deleted() == 0
        clock.advance(timedelta(days=31).total_seconds())
        assert await gateway.state.agent.purge_deleted() == 1
        for session_id in (first, second):
            assert (await gateway.http.post(f"/api/sessions/{session_id}/restore")).status_code == 404
        assert list((gateway.home / "downloads").iterdir()) == []

        def count(table: str) -> int:
            sql = f"SELECT count(*) FROM {table}"
            return int(gateway.state.database.read_here(lambda c: c.execute_sql(sql).fetchone()[0]))

        assert [count(t) for t in ("session_messages", "model_messages", "turns", "message_search")] == [0, 0, 0, 0]
        assert count("usage_stats") == 2


async def test_deleting_stops_the_running_turn(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gate = Gate()
        gateway.provider.play(script("Begun ", Wait(gate), "never"))
        socket = await gateway.socket()
        await socket.send("message", text="go")
        session_id = (await socket.next("text_delta"))["session_id"]
        assert (await gateway.http.delete(f"/api/sessions/{session_id}?permanent=true")).status_code == 204
        assert (await socket.next("stream_end"))["stopped"] is True
        gate.open()


async def test_others_and_nonsense_are_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = await chat(gateway, "mine")
        message_id = (await gateway.http.get(f"/api/sessions/{session_id}/messages")).json()[0]["id"]
        _, key = await gateway.user()
        other, path = gateway.client(key), f"/api/sessions/{session_id}"
        edit = {"message_id": message_id, "text": "x"}
        answers = [
            await other.patch(path, json={"title": "x"}),
            await other.delete(path),
            await other.delete(f"{path}?permanent=true"),
            await other.get(f"{path}/export"),
            await other.get(f"{path}/branches"),
            await other.post(f"{path}/regenerate", json={}),
            await other.post(f"{path}/edit", json=edit),
            await other.post(f"{path}/branches/x/activate"),
            await gateway.http.post(f"{path}/restore"),
            await gateway.http.post(f"{path}/edit", json=edit | {"message_id": 10**9}),
            await gateway.http.post(f"{path}/branches/x/activate"),
        ]
        assert [answer.status_code for answer in answers] == [404] * len(answers)
        for body in ({"title": 5}, {"is_pinned": "maybe"}, []):
            assert (await gateway.http.patch(path, json=body)).status_code == 422
        for title in ("", "  \n", "x" * 300):
            assert (await gateway.http.patch(path, json={"title": title})).status_code in (400, 422)
        for bad in ({}, {"message_id": "x", "text": "y"}, {"message_id": message_id}, {"message_id": -1, "text": "y"}):
            assert (await gateway.http.post(f"{path}/edit", json=bad)).status_code == 422
        assert (await gateway.http.post(f"{path}/edit", json=edit | {"text": " "})).status_code in (400, 422)
        assert (await gateway.http.get(f"{path}/export?format=exe")).status_code == 400


async def test_an_export_holds_everything_and_cannot_be_broken(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        call = CallTool("FileWrite", json.dumps({"file_path": "a.md", "content": NASTY}), call_id="c1")
        gateway.provider.play(script(call), script(NASTY), script("Second."))
        session_id = await chat(gateway, NASTY)
        await gateway.http.post(f"/api/sessions/{session_id}/regenerate", json={})
        markdown = await gateway.http.get(f"/api/sessions/{session_id}/export")
        assert markdown.headers["Content-Disposition"].startswith("attachment; filename=")
        outside = [line for line in markdown.text.split("\n") if line.startswith(("#", "<", "---"))]
        assert [line.split(",")[0].split("(")[0].strip() for line in outside[1:]] == [
            "### You",
            "### Agent",
            "---",
            "## Another version",
            "### You",
            "### Tool call FileWrite",
            "### Tool result" if "### Tool result" in markdown.text else "### Tool error",
            "### Agent",
        ]
        whole = json.loads((await gateway.http.get(f"/api/sessions/{session_id}/export?format=json")).text)
        assert [m["role"] for m in whole["messages"]] == [
            "user",
            "tool_use",
            "tool_result",
            "assistant",
            "user",
            "assistant",
        ]
        assert whole["messages"][0]["content"] == NASTY and whole["messages"][1]["data"]["input"]["content"] == NASTY
        assert [turn["is_active"] for turn in whole["turns"]] == [False, True]
