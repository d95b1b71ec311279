"""What somebody told the offline assistant is found again: in another conversation, after a restart, by nobody else."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test(timeout=30)


async def ask(client: httpx2.AsyncClient, text: str) -> str:
    answer = await client.post("/api/chat", json={"text": text})
    assert answer.status_code == 200, answer.text
    said: str = answer.json()["text"]
    return said


async def test_a_plain_question_is_answered_with_what_was_told_before(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    async with gateway:
        await ask(gateway.http, "Remember that the boiler man is called Otto Krause")
        await gateway.state.memory_index.refresh()
        assert "Otto Krause" in await ask(gateway.http, "Who is the boiler man?")
        _, key = await gateway.user()
        foreign = await ask(gateway.client(key), "Who is the boiler man?")
        assert "Otto" not in foreign and "do not understand" in foreign
        await gateway.stop()
        await gateway.start()
        await gateway.state.memory_index.ready()
        assert "Otto Krause" in await ask(gateway.http, "what's the name of the boiler man")
        unknown = await ask(gateway.http, "Where did the submarine sink?")
        assert "do not understand" in unknown


async def test_a_fact_is_remembered_once(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert "I will remember that" in await ask(gateway.http, "Remember that the boiler man is called Otto")
        assert "I know that already" in await ask(gateway.http, "remember that the boiler man is called Otto")
        files = (await gateway.http.get("/api/memory/files?file=MEMORY.md")).json()
        assert files["content"].count("Otto") == 1


async def test_the_same_question_gets_the_same_answer_however_often_it_is_asked(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await ask(gateway.http, "Remember that the plumber comes on Friday")
        await gateway.state.memory_index.refresh()
        for question in ("When does the plumber come?", "What do you remember about the plumber?"):
            for _ in range(6):
                said = await ask(gateway.http, question)
                await gateway.state.memory_index.refresh_messages()
                assert "MEMORY.md" in said and "comes on Friday" in said
                assert said.count("This is what I remember") == 1, said
                assert "I am not a language model" not in said.split("\n\n")[1]
