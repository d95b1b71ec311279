"""Searching memory over HTTP: any text is a question, and nobody finds what is not theirs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from tests.fakes import FakeClock
from tests.gateway import TIMEOUT_S, Gateway

ODD_QUERIES = (
    "",
    " ",
    "AND OR NOT NEAR",
    '"unbalanced (quote* ^col: - + {x}',
    "NEAR(a b, 5) text:boiler",
    "'; DROP TABLE chunk; --",
    "\U0001f600\u200d\U0001f600",
    "%_\\\x00\x01",
    "\ud83d",
    "***",
    "the of and",
    "a" * 100_000,
    "boiler " * 14_000,
)


def put(gateway: Gateway, name: str, text: str, user_id: str | None = None) -> Path:
    """Write a memory file by hand, of a user or of the agent."""
    base = gateway.state.paths.agent_home if user_id is None else gateway.state.paths.users_dir / user_id
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


async def search(gateway: Gateway, q: str, key: str | None = None, **given: Any) -> list[dict[str, Any]]:
    client = gateway.http if key is None else gateway.client(key)
    answer = await client.get("/api/memory/search", params={"q": q, **given})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def until_found(gateway: Gateway, q: str, key: str | None = None) -> list[dict[str, Any]]:
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := await search(gateway, q, key)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        return found


@pytest.mark.gen_test(timeout=30)
async def test_a_plain_question_finds_its_lines(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        lines = ["# Daily Log", "", "- Called the plumber about the boiler.", "- Paid 180 euros."]
        put(gateway, "memory/2026-03-05.md", "\n".join(lines), user.id)
        await gateway.state.memory_index.refresh()
        (hit,) = await search(gateway, "How much did we pay when the boilers broke?", key)
        assert hit["source"] == f"users/{user.id}/memory/2026-03-05.md"
        assert (hit["line_start"], hit["line_end"], hit["kind"]) == (1, 4, "file")
        marked = [hit["snippet"][start:end] for start, end in hit["marks"]]
        assert "boiler" in marked


@pytest.mark.gen_test(timeout=60)
async def test_a_question_of_100_kb_is_answered_over_http(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        put(gateway, "notes.md", "The boiler leaks. Котёл течёт.")
        await gateway.state.memory_index.refresh()
        for text in ("boiler " * 14_500, "котёл " * 9_000):
            assert len(text.encode()) > 95_000
            request = Request(
                f"{gateway.url}/api/memory/search?{urlencode({'q': text})}", headers={"X-API-Key": gateway.key}
            )
            with await asyncio.to_thread(urlopen, request) as answer:
                assert [hit["source"] for hit in json.load(answer)] == ["notes.md"]


@pytest.mark.gen_test(timeout=60)
async def test_no_text_is_an_error(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        put(gateway, "notes.md", "The boiler and the NEAR text; %_ drop.")
        index = gateway.state.memory_index
        await index.refresh()
        for text in ODD_QUERIES:
            hits = await index.search(text, user_id="admin")
            assert all(hit.score > 0 for hit in hits), text[:40]
        assert await search(gateway, "") == []
        assert await search(gateway, '"( boiler') != []
        assert (await gateway.http.get("/api/memory/search")).status_code == 400


@pytest.mark.gen_test(timeout=30)
async def test_wrong_filters_are_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for query in ("q=a&limit=x", "q=a&limit=-1", "q=a&kind=thing", "q=a&since=yesterday"):
            answer = await gateway.http.get(f"/api/memory/search?{query}")
            assert answer.status_code == 400
            assert list(answer.json()["fields"]) == [query.split("&")[1].split("=")[0]]


@pytest.mark.gen_test(timeout=30)
async def test_nobody_finds_what_is_not_theirs(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        ann, ann_key = await gateway.user(name="ann")
        _, bob_key = await gateway.user(name="bob")
        put(gateway, "MEMORY.md", "Ann hides the xylophone in the cellar.", ann.id)
        put(gateway, "house.md", "The xylophone shop is in Mill Lane.")
        await gateway.state.memory_index.refresh()
        assert len(await search(gateway, "xylophone", ann_key)) == 2
        assert [hit["source"] for hit in await search(gateway, "xylophone", bob_key)] == ["house.md"]
        assert [hit["source"] for hit in await search(gateway, "xylophone")] == ["house.md"]


@pytest.mark.gen_test(timeout=30)
async def test_what_was_said_is_found_until_it_is_deleted(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        chat = await gateway.client(key).post("/api/chat", json={"text": "My locker has the number 4711"})
        session_id = chat.json()["session_id"]
        hits = await until_found(gateway, "locker 4711", key)
        assert {hit["session_id"] for hit in hits} == {session_id}
        assert {hit["kind"] for hit in hits} == {"message"}
        assert await search(gateway, "locker 4711") == []
        await gateway.client(key).delete(f"/api/sessions/{session_id}")
        assert await search(gateway, "locker 4711", key) == []


@pytest.mark.gen_test(timeout=30)
async def test_an_accent_that_stands_alone_keeps_nothing_from_being_found(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        put(gateway, "song.md", "U \u0308 ber den Wolken: the wombat sings.")
        put(gateway, "tea.md", "The numbat drinks tea.")
        for text in ("Copied out of a PDF: Caf e \u0301 Okapi", "After it: the quokka"):
            assert (await gateway.http.post("/api/chat", json={"text": text})).status_code == 200
        index = gateway.state.memory_index
        await index.refresh()
        await index.refresh_messages()
        for _ in ("taken in one by one", "rebuilt"):
            for word in ("wombat", "numbat", "okapi", "quokka"):
                assert await search(gateway, word), word
            assert await search(gateway, "\u0301") == []
            assert (await gateway.http.post("/api/memory/reindex")).status_code == 200


@pytest.mark.gen_test(timeout=30)
async def test_messages_are_of_the_day_where_the_people_are(tmp_path: Path) -> None:
    late_in_london = FakeClock(datetime(2026, 3, 20, 16, 33, tzinfo=UTC))
    async with Gateway(tmp_path, settings={"timezone": "Asia/Tokyo"}, clock=late_in_london) as gateway:
        await gateway.http.post("/api/chat", json={"text": "The okapi sleeps."})
        await gateway.state.memory_index.refresh_messages()
        hits = await search(gateway, "what did I say today about the okapi", kind="message")
        assert {hit["date"] for hit in hits} == {"2026-03-21"}


@pytest.mark.gen_test(timeout=30)
async def test_a_question_that_was_asked_before_is_no_answer(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        told = "The boiler was serviced by Mr. Kahn."
        for text in (told, "Who serviced the boiler for us?", "Who serviced the boiler for us?"):
            assert (await gateway.http.post("/api/chat", json={"text": text})).status_code == 200
        await gateway.state.memory_index.refresh_messages()
        hits = await search(gateway, "who serviced the boiler for us", kind="message")
        said = [hit["text"] for hit in hits if hit["role"] == "user"]
        assert said[0] == told


@pytest.mark.gen_test(timeout=30)
async def test_an_edit_by_hand_is_found_soon_and_a_removed_file_is_not(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await gateway.state.memory_index.ready()
        began = asyncio.get_running_loop().time()
        path = put(gateway, "deep/er/wombat.md", "The wombat eats carrots.")
        await until_found(gateway, "wombat")
        assert asyncio.get_running_loop().time() - began < 5.0
        path.unlink()
        async with asyncio.timeout(TIMEOUT_S):
            while await search(gateway, "wombat"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@pytest.mark.gen_test(timeout=30)
async def test_reindex_answers_what_it_read(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        put(gateway, "wombat.md", "The wombat eats carrots.")
        answer = await gateway.http.post("/api/memory/reindex")
        body = answer.json()
        assert (answer.status_code, body["status"]) == (200, "ok")
        assert body["files"] >= 1 and body["chunks"] >= 1 and body["seconds"] >= 0
        assert await search(gateway, "carrots")


@pytest.mark.gen_test(timeout=30)
async def test_a_search_needs_a_key(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await gateway.client().get("/api/memory/search?q=a")).status_code == 401
        assert (await gateway.client().post("/api/memory/reindex")).status_code == 401


@pytest.mark.gen_test(timeout=60)
async def test_folders_that_come_later_are_watched_and_peoples_homes_are_not(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        await gateway.state.memory_index.ready()
        put(gateway, "memory/2026-03-05.md", "The plumber came.", user.id)
        await until_found(gateway, "plumber", key)
        put(gateway, "memory/trips/lisbon.md", "Tickets for the tram.", user.id)
        await until_found(gateway, "tram", key)
        put(gateway, "notes/deep/garden.md", "Water the tomatoes.")
        await until_found(gateway, "tomatoes")
        put(gateway, "home/project/README.md", "Build the submarine.", user.id)
        put(gateway, "memory/trips/porto.md", "A cellar of wine.", user.id)
        await until_found(gateway, "cellar", key)
        assert await search(gateway, "submarine", key) == []
        (gateway.state.paths.users_dir / user.id / "memory" / "trips" / "lisbon.md").unlink()
        async with asyncio.timeout(TIMEOUT_S):
            while await search(gateway, "tram", key):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
