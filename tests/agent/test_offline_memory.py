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
