"""Searching memory by meaning over HTTP, once a model for it is named; without one nothing is ever asked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import TIMEOUT_S, Gateway
from tests.providers.openai_server import OpenAIServer

pytestmark = pytest.mark.gen_test(timeout=60)

ON = {"memory": {"embedding_model": "local/small"}}


async def remember(gateway: Gateway, user_id: str, text: str, name: str = "memory/2026-03-05.md") -> None:
    path = gateway.state.paths.users_dir / user_id / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    await gateway.state.memory_index.refresh()
    await asyncio.wait_for(gateway.state.semantic.settled(), TIMEOUT_S)


async def texts(gateway: Gateway, q: str, key: str) -> list[str]:
    answer = await gateway.client(key).get("/api/memory/search", params={"q": q})
    assert answer.status_code == 200
    return [hit["text"].strip() for hit in answer.json()]


async def test_a_paraphrase_is_found_only_with_a_model_for_it_and_only_ones_own(tmp_path: Path) -> None:
    server = OpenAIServer()
    async with Gateway(tmp_path, server, settings=ON) as gateway:
        ann, anns = await gateway.user()
        _, bens = await gateway.user()
        await remember(gateway, ann.id, "The furnace was out again.")
        assert (await texts(gateway, "is there no warmth?", anns))[0] == "The furnace was out again."
        assert not any("furnace" in text for text in await texts(gateway, "is there no warmth?", bens))
        off: dict[str, Any] = (await gateway.http.get("/api/settings/memory")).json() | {"embedding_model": None}
        assert (await gateway.http.put("/api/settings/memory", json=off)).status_code == 200
        asked = len(server.embedded.requests)
        assert await texts(gateway, "is there no warmth?", anns) == []
        await remember(gateway, ann.id, "The radiator leaks.", "memory/2026-03-06.md")
        assert len(server.embedded.requests) == asked
        assert (
            await gateway.http.put("/api/settings/memory", json=off | {"embedding_model": "local/small"})
        ).status_code == 200
        await asyncio.wait_for(gateway.state.semantic.settled(), TIMEOUT_S)
        both = {"The furnace was out again.", "The radiator leaks."}
        assert set((await texts(gateway, "more warmth?", anns))[:2]) == both
        by_model = (await gateway.http.get("/api/settings/costs?period=all")).json()["by_model"]
        assert any("small" in str(row) for row in by_model)


async def test_a_failing_provider_is_told_and_words_still_find(tmp_path: Path) -> None:
    server = OpenAIServer()
    server.embedded.down = True
    settings = ON | {"provider_http": {"max_retries": 0}}
    async with Gateway(tmp_path, server, settings=settings) as gateway:
        ann, key = await gateway.user()
        path = gateway.state.paths.users_dir / ann.id / "MEMORY.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("The furnace was out again.")
        await gateway.state.memory_index.refresh()
        assert await texts(gateway, "furnace", key) == ["The furnace was out again."]
        async with asyncio.timeout(TIMEOUT_S):
            while "warnings" not in (health := (await gateway.http.get("/api/health")).json()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert health["warnings"] == ["memory is searched by words alone; see the log"]
