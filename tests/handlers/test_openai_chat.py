"""`/v1/chat/completions` and `/v1/models` by OpenAI's own library."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai as library
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.gateway import ADMIN_KEY, TIMEOUT_S, Gateway
from tests.handlers.openai_client import PIXEL, heard, instructions, openai, user
from tests.net.site import Site, page
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Cut, Fail, Gate, Hang, Usage, Wait, script

pytestmark = pytest.mark.gen_test

HELLO: list[Any] = [user("hi")]


async def sessions_of(gateway: Gateway) -> list[dict[str, Any]]:
    answer = await gateway.http.get("/api/sessions")
    return list(answer.json())


async def test_a_completion_has_text_usage_cost_and_where_it_is_kept(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Hel", "lo.", Usage(input=7, output=5, cache_read=30)))
        completion = await client.chat.completions.create(model="starpod", messages=HELLO)
        ChatCompletion.model_validate(completion.model_dump())
        assert completion.choices[0].message.content == "Hello." and completion.choices[0].finish_reason == "stop"
        assert completion.model == "local/m"
        assert completion.usage is not None and completion.usage.prompt_tokens_details is not None
        usage = completion.usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (37, 5, 42)
        assert usage.prompt_tokens_details.cached_tokens == 30
        assert isinstance(usage.model_extra["cost_usd"], float)
        kept = completion.model_extra["starpod"]
        turns = (await gateway.http.get(f"/api/sessions/{kept['session_id']}/turns")).json()
        assert [turn["id"] for turn in turns] == [kept["turn_id"]]


async def test_a_stream_says_the_same_and_its_usage_when_asked(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Hel", "lo ", "there.", Usage(input=7, output=5)))
        stream = await client.chat.completions.create(
            model="local/m", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        for chunk in chunks:
            ChatCompletionChunk.model_validate(chunk.model_dump())
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello there."
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].choices == [] and chunks[-1].usage is not None and chunks[-1].usage.total_tokens == 12
        assert len({chunk.id for chunk in chunks}) == 1
        gateway.provider.play(script("Again."))
        plain = [c async for c in await client.chat.completions.create(model="starpod", messages=HELLO, stream=True)]
        assert all(chunk.usage is None and chunk.choices for chunk in plain)


async def test_text_arrives_while_the_model_still_speaks(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("First.", Wait(gate), " Last."))
        stream = await client.chat.completions.create(model="starpod", messages=HELLO, stream=True)
        text = ""
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            if text == "First.":
                gate.open()
        assert text == "First. Last."


async def test_what_tools_did_shows_only_in_the_text(tmp_path: Path) -> None:
    rounds = script("Let me see.", CallTool("FileList")), script("Nothing ", "there.")
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(*rounds)
        whole = await client.chat.completions.create(model="starpod", messages=HELLO)
        assert whole.choices[0].message.content == "Let me see.\nNothing there."
        assert whole.choices[0].message.tool_calls is None
        gateway.provider.play(*rounds)
        chunks = [c async for c in await client.chat.completions.create(model="starpod", messages=HELLO, stream=True)]
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Let me see.\nNothing there."
        assert all(c.choices[0].delta.tool_calls is None for c in chunks)


async def test_without_a_session_the_conversation_of_the_request_reaches_the_model(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Blue."))
        messages: list[Any] = [
            {"role": "system", "content": "Answer in one word."},
            user("My colour is blue."),
            {"role": "assistant", "content": "Noted."},
            user("Which colour?"),
        ]
        for _ in range(2):
            await client.chat.completions.create(model="starpod", messages=messages)
            assert heard(gateway) == [
                ("user", "My colour is blue."),
                ("assistant", "Noted."),
                ("user", "Which colour?"),
            ]
            assert "Answer in one word." in instructions(gateway)
        first, second = await sessions_of(gateway)
        assert first["id"] != second["id"]
        rows = (await gateway.http.get(f"/api/sessions/{first['id']}/messages")).json()
        assert [(row["role"], row["content"]) for row in rows] == [("user", "Which colour?"), ("assistant", "Blue.")]


async def test_such_a_conversation_goes_on_in_the_page_with_all_that_was_said(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Blue."))
        messages: list[Any] = [{"role": "assistant", "content": "Welcome!"}, user("Which colour?")]
        completion = await client.chat.completions.create(model="starpod", messages=messages)
        session_id = completion.model_extra["starpod"]["session_id"]
        answer = await gateway.http.post(f"/api/sessions/{session_id}/regenerate", json={})
        assert answer.status_code == 200
        assert [text for _, text in heard(gateway)] == [
            "[The assistant began the conversation.]",
            "Welcome!",
            "Which colour?",
        ]


@pytest.mark.parametrize("by", ["user", "header"])
async def test_a_named_session_keeps_its_own_history(tmp_path: Path, by: str) -> None:
    named: dict[str, Any] = {"user": "work"} if by == "user" else {"extra_headers": {"X-Session-Key": "work"}}
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("One."), script("Two."))
        await client.chat.completions.create(model="starpod", messages=[user("first")], **named)
        history: list[Any] = [user("first"), {"role": "assistant", "content": "made up"}, user("second")]
        await client.chat.completions.create(model="starpod", messages=history, **named)
        assert heard(gateway) == [("user", "first"), ("assistant", "One."), ("user", "second")]
        [session] = await sessions_of(gateway)
        assert session["channel_session_key"] == "work" and session["message_count"] == 2
        answer = await gateway.http.post("/api/chat", json={"text": "third", "channel_session_key": "work"})
        assert answer.json()["session_id"] == session["id"]


async def test_two_requests_of_one_session_get_an_answer_each(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script(Wait(gate), "One."), script("Two."))

        async def ask(text: str) -> str | None:
            completion = await client.chat.completions.create(model="starpod", messages=[user(text)], user="work")
            return completion.choices[0].message.content

        first = asyncio.ensure_future(ask("first"))
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        second = asyncio.ensure_future(ask("second"))
        async with asyncio.timeout(TIMEOUT_S):
            while (await sessions_of(gateway))[0]["message_count"] < 2:
                pass
        gate.open()
        assert await asyncio.gather(first, second) == ["One.", "Two."]


async def test_the_sessions_of_others_are_not_reached_by_their_name(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello."))
        _, key = await gateway.user()
        async with openai(gateway) as mine, openai(gateway, key) as theirs:
            await mine.chat.completions.create(model="starpod", messages=[user("secret")], user="work")
            await theirs.chat.completions.create(model="starpod", messages=[user("hi")], user="work")
        assert heard(gateway) == [("user", "hi")]


async def test_images_reach_the_model(tmp_path: Path) -> None:
    vision = {"models": ["openai/gpt-4o"], "internet": {"allow_private_hosts": ["127.0.0.1"]}}
    server = OpenAIServer()
    settings = vision | {"providers": {"openai": {"base_url": f"{server.url}/v1"}}}
    async with Gateway(tmp_path, server, settings=settings) as gateway, openai(gateway) as client:
        async with Site({"/cat.png": page("not really", "Content-Type: image/png")}) as site:
            gateway.provider.play(script("A pixel."))
            shown: list[Any] = [
                user({"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PIXEL}}),
                {"role": "assistant", "content": "I see."},
                user(
                    {"type": "text", "text": "and these?"},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": site.url("/cat.png", "127.0.0.1")}},
                    {"type": "file", "file": {"filename": "note.txt", "file_data": "data:text/plain;base64,aGk="}},
                ),
            ]
            await client.chat.completions.create(model="starpod", messages=shown)
        (_, earlier), _, (_, newest) = heard(gateway)
        assert [part["type"] for part in earlier] == ["text", "image_url"]
        assert earlier[1]["image_url"]["url"] == PIXEL
        assert [part["type"] for part in newest] == ["text", "image_url", "image_url"]
        assert "note.txt" in newest[0]["text"]
        assert len(list((gateway.home / "downloads").iterdir())) == 3


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%"}}, "messages.0.content.0.image_url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, "messages.0.content.0.image_url"),
        ({"type": "input_file", "filename": "a"}, "messages.0.content.0.file_url"),
        ({"type": "file", "file": {"file_id": "f"}}, None),
        ({"type": "image_url", "image_url": {"url": "ftp://x/y.png"}}, "messages.0.content.0.image_url"),
        ({"type": "image_url", "image_url": {"url": ""}}, None),
        ({"type": "video_url", "video_url": {"url": "x"}}, None),
    ],
)
async def test_an_image_that_cannot_be_had_is_told_with_its_place(tmp_path: Path, part: Any, param: str | None) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        with pytest.raises(library.BadRequestError) as caught:
            await client.chat.completions.create(model="starpod", messages=[user(part)])  # type: ignore[list-item]
        assert caught.value.type == "invalid_request_error"
        assert (caught.value.param or "").startswith(param or "messages.0.content.0")
        assert await sessions_of(gateway) == []


async def test_an_image_inside_the_own_network_is_not_fetched(tmp_path: Path) -> None:
    async with (
        Gateway(tmp_path, OpenAIServer()) as gateway,
        openai(gateway) as client,
        Site({"/x.png": page("x")}) as site,
    ):
        link = {"type": "image_url", "image_url": {"url": site.url("/x.png", "127.0.0.1")}}
        with pytest.raises(library.PermissionDeniedError):
            await client.chat.completions.create(model="starpod", messages=[user(link)])  # type: ignore[list-item]


async def test_models_are_those_of_the_settings_and_the_default_by_our_name(tmp_path: Path) -> None:
    settings = {"models": ["local/m", "local/team/big"]}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, openai(gateway) as client:
        names = [model.id async for model in client.models.list()]
        assert names == ["starpod", "local/m", "local/team/big"]
        assert (await client.models.retrieve("local/team/big")).owned_by == "local"
        gateway.provider.play(script("Hello."))
        completion = await client.chat.completions.create(model="local/team/big", messages=HELLO)
        assert completion.model == "local/team/big" and gateway.provider.requests[-1].body["model"] == "team/big"
        with pytest.raises(library.NotFoundError):
            await client.models.retrieve("gpt-9")
        with pytest.raises(library.NotFoundError) as caught:
            await client.chat.completions.create(model="gpt-9", messages=HELLO)
        assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
        assert "local/m, local/team/big" in caught.value.message


async def test_keys_are_those_of_the_gateway(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        async with openai(gateway, "sp_live_" + "0" * 40) as client:
            with pytest.raises(library.AuthenticationError) as caught:
                await client.chat.completions.create(model="starpod", messages=HELLO)
            assert caught.value.code == "invalid_api_key" and "Invalid API key" in caught.value.message
        bare = await gateway.client().get("/v1/models")
        assert bare.status_code == 401 and "Missing API key" in bare.json()["error"]["message"]
        entries = (await gateway.http.get("/api/settings/audit")).json()
        assert any(entry["event_type"] == "failed_auth" for entry in entries)


async def test_too_many_requests_are_told_with_the_time_to_wait(tmp_path: Path) -> None:
    settings = {"auth": {"rate_limit_requests": 2}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway, openai(gateway) as client:
        await client.models.list()
        await client.models.list()
        with pytest.raises(library.RateLimitError) as caught:
            await client.models.list()
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["Retry-After"]) > 0


async def test_a_used_up_budget_is_a_quota_and_not_tried_again(tmp_path: Path) -> None:
    config = tmp_path / ".starpod" / "config"
    config.mkdir(parents=True)
    (config / "agent.toml").touch()
    (config / "models.toml").write_text("[local.models.m]\ninput = 0\noutput = 1000\n")
    settings = {"budget": {"user_daily_usd": 1}, "max_tokens": 1000}
    server = OpenAIServer(script("Dear.", Usage(output=1000)))
    async with Gateway(tmp_path, server, settings=settings) as gateway, openai(gateway, max_retries=2) as client:
        completion = await client.chat.completions.create(model="starpod", messages=HELLO)
        assert completion.usage is not None and completion.usage.model_extra["cost_usd"] == 1.0
        for stream in (False, True):
            with pytest.raises(library.RateLimitError) as caught:
                await client.chat.completions.create(model="starpod", messages=HELLO, stream=stream)
            assert caught.value.code == "insufficient_quota" and "budget" in caught.value.message
        assert len(await sessions_of(gateway)) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_fails_is_a_server_error_and_not_tried_again(tmp_path: Path, stream: bool) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway, max_retries=2) as client:
        gateway.provider.play(script(Fail(500, "kaput")))
        with pytest.raises(library.InternalServerError) as caught:
            await client.chat.completions.create(model="starpod", messages=HELLO, stream=stream, user="work")
        assert caught.value.status_code == 502 and caught.value.type == "server_error"
        [session] = await sessions_of(gateway)
        assert session["message_count"] == 1


async def test_a_provider_that_breaks_off_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Half an ", Cut("answer")))
        stream = await client.chat.completions.create(model="starpod", messages=HELLO, stream=True)
        text = ""

        async def read() -> None:
            nonlocal text
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""

        with pytest.raises(library.APIError):
            await read()
        assert text.startswith("Half an ")
        [session] = await sessions_of(gateway)
        rows = (await gateway.http.get(f"/api/sessions/{session['id']}/messages")).json()
        assert rows[-1]["role"] == "assistant" and rows[-1]["content"].startswith("Half an ")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_stops_the_turn(tmp_path: Path, stream: bool) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("So far.", Hang()))
        asked = client.chat.completions.create(model="starpod", messages=HELLO, stream=stream, user="work")
        if stream:
            answer: Any = await asked
            async for chunk in answer:
                if chunk.choices[0].delta.content:
                    break
            await answer.close()
        else:
            task = asyncio.ensure_future(asked)
            assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
            socket = await gateway.socket()
            [session] = await sessions_of(gateway)
            await socket.send("resume", session_id=session["id"])
            await socket.next("text_delta")
            task.cancel()
        assert await asyncio.to_thread(gateway.provider.requests[0].closed.wait, TIMEOUT_S)
        [session] = await sessions_of(gateway)
        turn = await gateway.state.agent.find_turn(_admin(), session["id"])
        assert turn is not None
        await asyncio.wait_for(turn.ended.wait(), TIMEOUT_S)
        assert turn.state == "stopped" and turn.text == "So far."


def _admin() -> Any:
    from starpod.sessions.types import Viewer

    return Viewer(None, True)


async def test_a_request_with_an_idempotency_key_goes_on_and_can_be_asked_for_again(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("So far.", Wait(gate), " Done."))
        again: dict[str, Any] = {"extra_headers": {"Idempotency-Key": "once"}}
        stream = await client.chat.completions.create(model="starpod", messages=HELLO, stream=True, **again)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        task = asyncio.ensure_future(client.chat.completions.create(model="starpod", messages=HELLO, **again))
        gate.open()
        completion = await asyncio.wait_for(task, TIMEOUT_S)
        assert completion.choices[0].message.content == "So far. Done."
        await gateway.stop()
        await gateway.start()
        async with openai(gateway) as later:
            stored = await later.chat.completions.create(model="starpod", messages=HELLO, **again)
            assert stored.choices[0].message.content == "So far. Done."
            chunks = [
                c
                async for c in await later.chat.completions.create(
                    model="starpod", messages=HELLO, stream=True, **again
                )
            ]
            assert "".join(c.choices[0].delta.content or "" for c in chunks) == "So far. Done."
        assert len(gateway.provider.requests) == 1


async def test_an_answer_that_its_client_did_not_wait_for_is_unread(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("So far.", Wait(gate), " Done."))
        again: dict[str, Any] = {"extra_headers": {"Idempotency-Key": "once"}}
        asking = asyncio.ensure_future(client.chat.completions.create(model="starpod", messages=HELLO, **again))
        assert await asyncio.to_thread(gateway.provider.wait_for_requests, 1)
        [turn_id] = gateway.state.agent.turns.running_ids()
        turn = gateway.state.agent.turns.find(turn_id)
        asking.cancel()
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                if turn is not None and not turn.has_followers:
                    break
                await asyncio.sleep(0.02)
        gate.open()
        async with asyncio.timeout(TIMEOUT_S):
            await turn.ended.wait()
        [session] = await sessions_of(gateway)
        assert session["is_read"] is False


async def test_parameters_that_an_agent_has_no_use_for_are_let_through(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("Hello."))
        completion = await client.chat.completions.create(
            model="starpod",
            messages=HELLO,
            temperature=0.3,
            max_tokens=5,
            n=1,
            tools=[{"type": "function", "function": {"name": "x", "parameters": {"type": "object"}}}],
            extra_body={"unheard_of": {"a": [1]}},
        )
        assert completion.choices[0].message.content == "Hello."


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"messages": [{"role": "user", "content": "hi"}], "n": 2}, "n"),
        ({"messages": [{"role": "user", "content": "hi"}], "user": "x" * 201}, "user"),
        ({"messages": [{"role": "user", "content": "hi"}], "stream": "perhaps"}, "stream"),
    ],
)
async def test_what_does_not_fit_is_told_in_the_shape_of_the_protocol(
    tmp_path: Path, body: dict[str, Any], param: str
) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        answer = await gateway.http.post("/v1/chat/completions", json={"model": "starpod", **body})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error" and error["param"] == param and error["message"]
        assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("path", "before", "item", "after"),
    [
        ("/v1/chat/completions", b'{"messages":[{"role":"user","content":[', b'{"type":"q"}', b"]}]}"),
        ("/v1/chat/completions", b'{"messages":[', b'{"role":"user","content":1}', b"]}"),
        ("/v1/responses", b'{"input":[', b'{"role":"user","content":1}', b"]}"),
        ("/v1/embeddings", b'{"input":[', b"1", b"]}"),
    ],
)
async def test_of_a_list_the_first_item_that_does_not_fit_is_told(
    tmp_path: Path, path: str, before: bytes, item: bytes, after: bytes
) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        json_body = {"Content-Type": "application/json"}
        answer = await gateway.http.post(path, content=before + b",".join([item] * 20) + after, headers=json_body)
        message = answer.json()["error"]["message"]
        assert answer.status_code == 400 and ".0" in message and ".1:" not in message and ".1." not in message


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/api/chat"])
async def test_a_large_body_of_very_many_values_is_refused_and_one_of_a_large_file_is_not(
    tmp_path: Path, path: str
) -> None:
    start = {"/v1/chat/completions": b'{"messages":[{"role":"user","content":"hi"}]', "/v1/responses": b'{"input":"hi"'}
    body = start.get(path, b'{"text":"hi"')
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello."))
        json_body = {"Content-Type": "application/json"}
        many = await gateway.http.post(
            path, content=body + b',"x":[' + b",".join([b"{}"] * 1_000_000) + b"]}", headers=json_body
        )
        assert many.status_code == 413 and "too many values" in many.text
        large = await gateway.http.post(path, content=body + b',"x":"' + b"A" * 3_000_000 + b'"}', headers=json_body)
        assert large.status_code == 200


async def test_a_turn_that_has_ended_holds_no_files_of_its_request(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway, openai(gateway) as client:
        gateway.provider.play(script("A dot."), script("Two."))
        image = {"type": "image_url", "image_url": {"url": PIXEL}}
        for messages in ([user(image)], [user(image), {"role": "assistant", "content": "?"}, user("see?")]):
            answer = await client.chat.completions.create(model="starpod", messages=messages)  # type: ignore[arg-type]
            turn = gateway.state.agent.turns.find(answer.model_extra["starpod"]["turn_id"])  # type: ignore[index]
            assert turn is not None and turn.events
            assert (turn.request.files, turn.request.earlier, turn.user_json, turn.begun) == ((), (), "", None)


async def test_other_refusals_have_the_shape_too(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        broken = await gateway.http.post(
            "/v1/chat/completions", content=b"{", headers={"Content-Type": "application/json"}
        )
        form = await gateway.http.post("/v1/chat/completions", data={"model": "x"})
        unknown = await gateway.http.get("/v1/assistants")
        wrong = await gateway.http.delete("/v1/chat/completions")
        statuses = [answer.status_code for answer in (broken, form, unknown, wrong)]
        assert statuses == [400, 415, 404, 405]
        for answer in (broken, form, unknown, wrong):
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert "POST" in wrong.headers["Allow"]


async def test_everything_is_open_while_nobody_exists(tmp_path: Path) -> None:
    async with Gateway(tmp_path, bootstrap=False) as gateway, openai(gateway, "anything") as client:
        completion = await client.chat.completions.create(model="starpod", messages=HELLO)
        assert completion.choices[0].message.content


async def test_a_stream_on_the_wire(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello."))
        answer = await gateway.http.post(
            "/v1/chat/completions",
            json={"messages": HELLO, "stream": True},
            headers={"Authorization": f"Bearer {ADMIN_KEY}"},
        )
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        lines = [line for line in answer.text.split("\n\n") if line]
        assert lines[-1] == "data: [DONE]"
        assert all(json.loads(line.removeprefix("data: "))["object"] == "chat.completion.chunk" for line in lines[:-1])
        assert answer.headers["X-Session-Id"] == (await sessions_of(gateway))[0]["id"]


async def test_a_file_at_a_url_may_not_be_larger_than_files_may(tmp_path: Path) -> None:
    settings = {"internet": {"allow_private_hosts": ["127.0.0.1"]}, "attachments": {"max_file_size": 1000}}
    async with (
        Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway,
        openai(gateway) as client,
        Site({"/big.png": page(b"x" * 1001, "Content-Type: image/png")}) as site,
    ):
        link = {"type": "image_url", "image_url": {"url": site.url("/big.png", "127.0.0.1")}}
        for messages in ([user(link)], [user(link), {"role": "assistant", "content": "?"}, user("see?")]):
            with pytest.raises(library.BadRequestError, match="larger than 1000 bytes"):
                await client.chat.completions.create(model="starpod", messages=messages)  # type: ignore[arg-type]
        assert await sessions_of(gateway) == []
