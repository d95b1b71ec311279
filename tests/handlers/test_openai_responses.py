"""`/v1/responses` by OpenAI's own library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai as library
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.gateway import Gateway
from tests.handlers.openai_client import PIXEL, heard, instructions, openai
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Cut, Fail, Usage, script

pytestmark = pytest.mark.gen_test

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


async def test_a_response_has_text_and_usage(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Hello.", Usage(input=7, output=5, cache_read=30)))
        response = await client.responses.create(
            model="starpod", input="hi", instructions="Be brief.", metadata={"a": "b"}
        )
        Response.model_validate(response.model_dump())
        assert response.output_text == "Hello." and response.status == "completed"
        assert response.usage is not None and response.usage.total_tokens == 42
        assert response.usage.input_tokens_details.cached_tokens == 30
        assert isinstance(response.usage.model_extra["cost_usd"], float)
        assert response.metadata == {"a": "b"} and response.model == "local/m"
        assert heard(gateway) == [("user", "hi")] and "Be brief." in instructions(gateway)


async def test_the_previous_response_goes_on(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("One."), script("Two."))
        first = await client.responses.create(model="starpod", input="first")
        second = await client.responses.create(model="starpod", input="second", previous_response_id=first.id)
        assert second.previous_response_id == first.id and second.id != first.id
        assert heard(gateway) == [("user", "first"), ("assistant", "One."), ("user", "second")]
        assert len((await gateway.http.get("/api/sessions")).json()) == 1
        known = await client.responses.retrieve(first.id)
        assert known.output_text == "One." and known.status == "completed"


async def test_a_response_of_somebody_else_is_unknown(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("One."))
        mine = await client.responses.create(model="starpod", input="secret")
        _, key = await gateway.user()
        async with openai(gateway, key) as theirs:
            for name in (mine.id, "resp_" + "0" * 32, "resp_x", "x"):
                with pytest.raises(library.NotFoundError):
                    await theirs.responses.create(model="starpod", input="more", previous_response_id=name)
                with pytest.raises(library.NotFoundError):
                    await theirs.responses.retrieve(name)
        assert len(gateway.provider.requests) == 1


async def test_items_and_images_of_the_input_reach_the_model(tmp_path: Path) -> None:
    server = OpenAIServer()
    settings = {"models": ["openai/gpt-4o"], "providers": {"openai": {"base_url": f"{server.url}/v1"}}}
    async with Gateway(tmp_path, server, settings=settings) as gateway, openai(gateway) as client:
        gateway.provider.play(script("A pixel."))
        items: list[Any] = [
            {"role": "developer", "content": "Look closely."},
            {"role": "user", "content": "hi"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello."}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "42"},
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "and this?"}, {"type": "input_image", "image_url": PIXEL}],
            },
        ]
        response = await client.responses.create(model="starpod", input=items)
        assert response.output_text == "A pixel."
        *earlier, (_, newest) = heard(gateway)
        assert earlier == [("user", "hi"), ("assistant", "Hello.")]
        assert newest[0]["text"].startswith("[Result of a tool]\n42\n\nand this?")
        assert newest[1]["image_url"]["url"] == PIXEL
        assert "Look closely." in instructions(gateway)


async def test_a_stream_is_typed_numbered_and_ends_with_the_whole_response(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Let me see.", CallTool("FileList")), script("Nothing ", "there."))
        events = [event async for event in await client.responses.create(model="starpod", input="hi", stream=True)]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        kinds = [event.type for event in events]
        deltas = kinds.count("response.output_text.delta")
        assert kinds == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            *["response.output_text.delta"] * deltas,
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == "Let me see.\nNothing there."
        last = events[-1]
        assert last.type == "response.completed" and last.response.output_text == text
        assert last.response.usage is not None and last.response.usage.output_tokens == 40


async def test_the_stream_on_the_wire_fits_the_types_of_the_library(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hel", "lo."))
        answer = await gateway.http.post("/v1/responses", json={"input": "hi", "stream": True})
        blocks = [block.split("\n") for block in answer.text.split("\n\n") if block]
        for name, data in blocks:
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            assert EVENT.validate_python(event).type == event["type"]


async def test_the_librarys_own_helper_reads_the_stream(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Hel", "lo."))
        async with client.responses.stream(model="starpod", input="hi") as stream:
            async for _ in stream:
                pass
            final = await stream.get_final_response()
        assert final.output_text == "Hello."


async def test_a_provider_that_fails_before_and_in_the_answer(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway, max_retries=2) as client:
        gateway.provider.play(script(Fail(500)))
        for stream in (False, True):
            with pytest.raises(library.InternalServerError):
                await client.responses.create(model="starpod", input="hi", stream=stream)
        assert len((await gateway.http.get("/api/sessions")).json()) == 2
        gateway.provider.play(script("Half an ", Cut("answer")))
        events = [event async for event in await client.responses.create(model="starpod", input="hi", stream=True)]
        last = events[-1]
        assert last.type == "response.failed" and last.response.status == "failed"
        assert last.response.error is not None and last.response.error.code == "server_error"
        assert last.response.output_text.startswith("Half an ")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": [{"type": "reasoning"}]}, "messages"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input.0.role"),
        ({"input": "hi", "background": True}, "background"),
        ({"input": "hi", "metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"input": "hi", "conversation": "a", "previous_response_id": "resp_x"}, "previous_response_id"),
    ],
)
async def test_what_does_not_fit_is_told(tmp_path: Path, body: dict[str, Any], param: str) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        answer = await gateway.http.post("/v1/responses", json={"model": "starpod", **body})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == param


async def test_a_conversation_by_its_name(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("One."), script("Two."))
        await client.responses.create(model="starpod", input="first", conversation="trip")
        await client.responses.create(model="starpod", input="second", conversation={"id": "trip"})
        assert [text for _, text in heard(gateway)] == ["first", "One.", "second"]
        histories = [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "third"}]
        await client.responses.create(model="starpod", input=histories, conversation="")  # type: ignore[arg-type]
        assert [text for _, text in heard(gateway)][1:] == ["Hi.", "third"]
