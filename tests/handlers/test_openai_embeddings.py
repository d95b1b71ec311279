"""`/v1/embeddings` by OpenAI's own library."""

from __future__ import annotations

from pathlib import Path

import openai as library
import pytest

from tests.gateway import Gateway
from tests.handlers.openai_client import openai
from tests.providers.openai_server import OpenAIServer

pytestmark = pytest.mark.gen_test

ON = {"memory": {"embedding_model": "local/small", "vector_search": False}}


async def test_vectors_come_in_order_in_both_encodings_and_are_booked(tmp_path: Path) -> None:
    server = OpenAIServer()
    async with Gateway(tmp_path, server, settings=ON) as gateway:
        ann, key = await gateway.user()
        async with openai(gateway, key) as client:
            texts = ["the cat is at the vet", "a bike"]
            packed = await client.embeddings.create(model="local/small", input=texts)
            plain = await client.embeddings.create(model="starpod", input="a bike", encoding_format="float")
        assert [item.index for item in packed.data] == [0, 1]
        assert packed.data[0].embedding[1] == 2.0 and packed.data[1].embedding[2] == 1.0
        assert plain.data[0].embedding == pytest.approx(packed.data[1].embedding)
        assert packed.model == "local/small" and packed.usage.total_tokens == 2
        assert server.embedded.requests == [texts, ["a bike"]]
        costs = (await gateway.http.get("/api/settings/costs?period=all")).json()
        assert any(row["user_id"] == ann.id for row in costs["by_user"])


async def test_many_texts_are_asked_for_in_parts_and_come_in_order(tmp_path: Path) -> None:
    server = OpenAIServer()
    texts = [("the cat is at the vet", "a bike")[number % 2] for number in range(150)]
    async with Gateway(tmp_path, server, settings=ON) as gateway, openai(gateway) as client:
        answer = await client.embeddings.create(model="starpod", input=texts, encoding_format="float")
        one, other = [
            (await client.embeddings.create(model="starpod", input=text, encoding_format="float")).data[0].embedding
            for text in texts[:2]
        ]
    assert one != other and [item.embedding for item in answer.data] == [one, other] * 75
    assert [item.index for item in answer.data] == list(range(150))
    assert [len(request) for request in server.embedded.requests[:-2]] == [64, 64, 22]
    assert answer.usage.prompt_tokens == 150


async def test_without_a_model_or_with_another_one(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        with pytest.raises(library.NotFoundError) as caught:
            await client.embeddings.create(model="starpod", input="x")
        assert "embedding_model" in caught.value.message
    async with Gateway(tmp_path / "b", OpenAIServer(), settings=ON) as gateway, openai(gateway) as client:
        with pytest.raises(library.NotFoundError) as caught:
            await client.embeddings.create(model="text-embedding-3-small", input="x")
        assert "local/small" in caught.value.message


async def test_bad_input_and_a_provider_that_is_down(tmp_path: Path) -> None:
    server = OpenAIServer()
    async with Gateway(tmp_path, server, settings=ON) as gateway, openai(gateway) as client:
        for given in ([], "", [""], [1, 2, 3]):
            with pytest.raises(library.BadRequestError):
                await client.embeddings.create(model="starpod", input=given)
        assert server.embedded.requests == []
        server.embedded.down = True
        with pytest.raises(library.InternalServerError) as caught:
            await client.embeddings.create(model="starpod", input="x")
        assert caught.value.status_code == 502
