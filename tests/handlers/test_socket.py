"""`/ws`: who may connect, and what becomes of messages that are wrong, too many or too large."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from tests.fakes import FakeClock
from tests.gateway import Closed, Gateway, Socket, kinds, said
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script

pytestmark = pytest.mark.gen_test

WRONG_KEY = "sp_live_" + "0" * 40
BAD_FRAMES = (
    "",
    " ",
    "hello",
    "{",
    "null",
    "[]",
    "5",
    '"message"',
    "{}",
    '{"type": null}',
    '{"type": 5}',
    '{"type": "nonsense"}',
    '{"type": "notification"}',
    '{"type": "message"}',
    '{"type": "message", "text": null}',
    '{"type": "message", "text": 5}',
    '{"type": "message", "text": "x", "attachments": null}',
    '{"type": "message", "text": "x", "attachments": [{"file_name": "a", "mime_type": "b", "data": "!"}]}',
    '{"type": "message", "text": "\\ud800"}',
    '{"type": "message", "text": "x", "follow_up": "shout"}',
    '{"type": "message", "text": "a\x00b"}',
    '{"type": "cancel"}',
    '{"type": "cancel", "session_id": 5}',
    '{"type": "resume"}',
    '{"type": "resume", "session_id": "x", "after": -1}',
    '{"type": "resume", "session_id": "x", "after": 1.5}',
    '{"type": "resume", "session_id": "x", "after": "%s"}' % ("9" * 5000),
    '{"type": "ping", "type": "pong"}',
    "[" * 100_000,
    '{"type":"message","text":' * 20_000,
    '{"type": "message", "text": %s}' % ("9" * 10_000),
)


async def refusal(gateway: Gateway, **arguments: Any) -> HTTPClientError:
    """The error of a connection that is not let in."""
    with pytest.raises(HTTPClientError) as refused:
        await gateway.socket(**arguments)
    return refused.value


def text_of(error: HTTPClientError) -> str:
    assert error.response is not None
    return error.response.body.decode()


async def works(socket: Socket) -> bool:
    """Whether the socket still answers; says nothing on the way."""
    await socket.send("ping")
    return await socket.next() == {"type": "pong"}


async def test_a_socket_wants_a_good_token(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        missing, wrong = await refusal(gateway, path="/ws"), await refusal(gateway, key=WRONG_KEY)
        assert (missing.code, text_of(missing)) == (401, "Missing token parameter")
        assert (wrong.code, text_of(wrong)) == (401, "Invalid token")
        for arguments in (
            {"key": gateway.key},
            {"path": "/ws", "headers": {"X-API-Key": gateway.key}},
            {"path": "/ws", "headers": {"Authorization": f"Bearer {gateway.key}"}},
        ):
            assert await works(await gateway.socket(**arguments))


async def test_a_token_that_was_revoked_or_is_a_cookie_is_no_key(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        (stored,) = await gateway.state.auth.list_keys(user.id)
        await gateway.state.auth.revoke_key(stored.id)
        assert (await refusal(gateway, key=key)).code == 401
        login = await gateway.client().post(
            "/api/auth/login", json={"key": gateway.key}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        assert (await refusal(gateway, key=login.cookies["starpod_session"])).code == 401


async def test_pages_of_other_sites_may_not_connect(tmp_path: Path) -> None:
    settings = {"auth": {"allowed_origins": ["https://chat.example.org"]}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        for origin in ("https://evil.example", "null", "http://127.0.0.1", "http://localhost:1"):
            assert (await refusal(gateway, headers={"Origin": origin})).code == 403, origin
        for origin in (gateway.url, "https://chat.example.org"):
            assert await works(await gateway.socket(headers={"Origin": origin}))


async def test_the_cookie_does_not_let_a_foreign_page_connect(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        login = await gateway.client().post(
            "/api/auth/login", json={"key": gateway.key}, headers={"Sec-Fetch-Site": "same-origin"}
        )
        cookie = {"Cookie": f"starpod_session={login.cookies['starpod_session']}"}
        assert (await refusal(gateway, path="/ws", headers=cookie | {"Origin": "https://evil.example"})).code == 403
        assert await works(await gateway.socket(path="/ws", headers=cookie | {"Origin": gateway.url}))


async def test_foreign_hosts_may_not_connect(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await refusal(gateway, headers={"Host": "evil.example"})).code == 403


async def test_a_request_without_an_upgrade_is_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await gateway.http.get("/ws")).status_code == 400
        assert (await gateway.http.post("/ws")).status_code == 405


async def test_ping_is_answered_by_pong(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert await works(await gateway.socket())


async def test_wrong_messages_are_told_and_the_socket_stays_open(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        for text in BAD_FRAMES:
            await socket.send_text(text)
            error = await socket.next()
            assert error["type"] == "error", (text[:80], error)
            assert error["message"].startswith(("Invalid message format: ", "Chat error: ")), (text[:80], error)
            assert len(error["message"]) < 600, text[:80]
        assert await works(socket)
        assert (await gateway.http.get("/api/sessions")).json() == []


async def test_binary_frames_are_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        for data in (b"", b"\x00\xff", json.dumps({"type": "ping"}).encode()):
            await socket.send_text(data)
            error = await socket.next()
            assert error["type"] == "error" and error["message"].startswith("Invalid message format: ")
        assert await works(socket)


async def test_unknown_fields_are_ignored(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        frames = await socket.say("hello", nonsense={"a": [1e300]}, session_id="made up", user_id="../x")
        assert frames[-1]["is_error"] is False


async def test_wrong_messages_do_not_disturb_a_stream(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        frames = await socket.until("text_delta")
        for text in ("{", '{"type": "nonsense"}', b"\x00", '{"type": "message"}'):
            await socket.send_text(text)
            assert (await socket.next())["type"] == "error"
        await socket.send("cancel", session_id="unknown")
        assert (await socket.next())["type"] == "error"
        assert await works(socket)
        gate.open()
        frames += await socket.until("stream_end")
        assert said(frames) == "one two" and frames[-1]["is_error"] is False


async def test_invalid_unicode_ends_only_the_socket_that_sent_it(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bad, good = await gateway.socket(), await gateway.socket()
        # A masked text frame of two bytes, both 0xff, with a mask of zeros.
        await bad.stream.write(b"\x81\x82\x00\x00\x00\x00\xff\xff")
        await bad.closed()
        assert await works(good)


async def test_a_message_over_the_limit_ends_only_its_own_socket(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        bad, good = await gateway.socket(), await gateway.socket()
        # The head of a frame that says it is 64 MiB long; nothing of it needs to be sent.
        head = b"\x81\xff" + (64 * 2**20).to_bytes(8, "big")
        await bad.stream.write(head)
        assert (await bad.closed()).code == 1009
        assert await works(good)


async def test_a_very_long_message_is_answered(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("That was long."))
        socket = await gateway.socket()
        frames = await socket.say("word " * 200_000)
        assert said(frames) == "That was long."
        assert len(gateway.provider.requests[-1].body["messages"][-1]["content"]) >= 1_000_000


async def test_a_refused_message_names_its_id_and_starts_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        socket = await gateway.socket()
        for fields in (
            {"text": "x", "model": "no/model"},
            {"text": " "},
            {"text": "x", "channel_session_key": "k" * 201},
        ):
            await socket.send("message", client_message_id="m1", **fields)
            error = await socket.next()
            assert error["type"] == "error" and error["message"].startswith("Chat error: "), error
            assert error["client_message_id"] == "m1" and error["fields"]
        assert await works(socket)
        assert (await gateway.http.get("/api/sessions")).json() == []


async def test_too_many_messages_are_told_when_to_come_back(tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"auth": {"rate_limit_requests": 2, "rate_limit_window_secs": 60}}
    async with Gateway(tmp_path, settings=settings, clock=clock) as gateway:
        socket, second = await gateway.socket(), await gateway.socket()
        await socket.say("one")
        await second.say("two")
        await socket.send("message", text="three", client_message_id="m3")
        error = await socket.next()
        assert (error["type"], error["message"], error["status"]) == ("error", "Rate limit exceeded", 429)
        assert (error["retry_after"], error["client_message_id"]) == (60, "m3")
        assert await works(socket)
        clock.advance(60)
        assert (await socket.say("four"))[-1]["is_error"] is False


async def test_a_flood_of_messages_is_answered_message_by_message(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"auth": {"rate_limit_requests": 10}}) as gateway:
        socket = await gateway.socket()
        for number in range(200):
            await socket.send("message", text="x", channel_session_key=str(number), client_message_id=f"m{number}")
        ended = refused = 0
        while ended + refused < 200:
            frame = await socket.next()
            ended += frame["type"] == "stream_end"
            refused += frame["type"] == "error"
        assert ended == 10
        assert await works(socket)


@pytest.mark.parametrize("how", ["revoked", "deactivated"])
async def test_a_lost_key_ends_an_open_socket_at_its_next_message(tmp_path: Path, how: str) -> None:
    async with Gateway(tmp_path) as gateway:
        user, key = await gateway.user()
        socket = await gateway.socket(key)
        await socket.say("one")
        if how == "revoked":
            (stored,) = await gateway.state.auth.list_keys(user.id)
            await gateway.state.auth.revoke_key(stored.id)
        else:
            await gateway.state.auth.set_active(user.id, False)
        await socket.send("message", text="two", channel_session_key="a")
        with pytest.raises(Closed) as closed:
            await socket.next()
        assert closed.value.code == 4401


async def test_an_open_gateway_asks_for_a_key_once_there_is_a_user(tmp_path: Path) -> None:
    async with Gateway(tmp_path, bootstrap=False) as gateway:
        socket = await gateway.socket(path="/ws")
        await socket.say("one")
        await gateway.user(role="admin")
        await socket.send("message", text="two")
        assert (await socket.closed()).code == 4401


async def test_stopping_the_gateway_tells_the_sockets(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        sockets = [await gateway.socket() for _ in range(3)]
        stopping = asyncio.create_task(gateway.stop())
        for socket in sockets:
            assert (await socket.closed()).code == 1001
        await stopping


async def test_a_running_turn_gets_time_to_finish_when_the_gateway_stops(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer(), settings={"shutdown_grace_s": 10.0}) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        delta = await socket.next("text_delta")
        stopping = asyncio.create_task(gateway.stop())
        assert (await socket.closed()).code == 1001
        assert not stopping.done()
        gate.open()
        await stopping
        await gateway.start()
        rows = (await gateway.http.get(f"/api/sessions/{delta['session_id']}/messages")).json()
        assert [row["content"] for row in rows] == ["x", "one two"]


async def test_a_turn_that_is_cut_off_by_the_stop_keeps_what_it_said(tmp_path: Path) -> None:
    gate = Gate()
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("one ", Wait(gate), "two"))
        socket = await gateway.socket()
        await socket.send("message", text="x", channel_session_key="a")
        delta = await socket.next("text_delta")
        await gateway.stop()
        gate.open()
        gateway.provider.play(script("Welcome back."))
        await gateway.start()
        socket = await gateway.socket()
        await socket.send("resume", session_id=delta["session_id"])
        frames = await socket.until("stream_end")
        assert said(frames) == "one "
        assert (frames[-1]["interrupted"], frames[-1]["is_error"]) == (True, True)
        again = await socket.say("y")
        assert kinds(again) == ["stream_start", "text_delta", "stream_end"]
        assert {frame["session_id"] for frame in again} == {delta["session_id"]}
