"""Nonsense of every kind, in bodies, headers, paths, query strings and frames: refused as described, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.described import check_frame
from tests.gateway import Socket, said
from tests.handlers.fuzz import Role, ask_all
from tests.handlers.live import Live
from tests.handlers.support import raw

# The same each time; `python -m tests.handlers.fuzz` asks more, and other things.
QUICK = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
HEADER_NAMES = (
    "X-API-Key Authorization Cookie Host Origin Accept Content-Type Content-Length Transfer-Encoding Content-Encoding "
    "Last-Event-ID If-None-Match X-Forwarded-For Range Expect"
)
PLACES = "/api/sessions /api/memory/search /api/cron/jobs/ /api/files/read /api/settings/ /ws /docs/ /"
FRAME_TYPES = "message cancel resume approve deny ping regenerate edit nothing"
FRAME_FIELDS = (
    "text session_id turn_id after approval_id remember attachments model message_id client_message_id channel_id "
    "channel_session_key user_id follow_up"
)
ASKED = "sessions sessions/search memory/search memory/history settings/audit costs outbox notifications files/read files/raw"
ASKED_BY = "q limit before after user user_id file version path tz period format state since until kind"


def one_of(words: str) -> st.SearchStrategy[str]:
    """One of these words."""
    return st.sampled_from(words.split())


# Bytes that HTTP allows in a request line or a header, and some that it does not.
WORDS = st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b""))
METHODS = one_of("GET POST PUT PATCH DELETE HEAD OPTIONS TRACE BREW")
HEADERS = one_of(HEADER_NAMES).map(str.encode)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
FRAMES = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200),
    JSON.map(json.dumps),
    st.builds(
        lambda kind, fields: json.dumps({**fields, "type": kind}),
        one_of(FRAME_TYPES),
        st.dictionaries(one_of(FRAME_FIELDS), JSON | st.text(), max_size=6),
    ),
)


@pytest.fixture(autouse=True)
def no_faults(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is sent, the gateway logs no fault of its own."""
    yield
    faults = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in faults] == []


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with Live(tmp_path, settings={"auth": {"failed_attempts": 0, "rate_limit_requests": 0}}) as live:
        yield live


@pytest.mark.parametrize("role", ["nobody", "user", "admin"])
def test_every_answer_is_one_that_is_described(tmp_path: Path, role: Role) -> None:
    asked = ask_all(tmp_path, role, 3)
    assert [failure for each in asked for failure in each.failures] == []
    assert len(asked) > 100 and all(each.statuses for each in asked)


def test_broken_requests_are_refused_and_disturb_nobody(live: Live) -> None:
    gateway = live.gateway

    async def send(head: bytes, body: bytes) -> None:
        try:
            async with asyncio.timeout(5):
                answer = await raw(gateway, head, body)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return  # cut off, or still waiting for more of what was announced
        assert answer.status < 500 or answer.status == 501, (head, answer)
        assert str(gateway.folder).encode() not in answer.body and b"Traceback" not in answer.body

    @QUICK
    @given(METHODS, one_of(PLACES), WORDS, st.dictionaries(HEADERS, WORDS, max_size=4), st.binary(max_size=100))
    def ask(method: str, path: str, rest: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        lines = {b"Host": b"localhost", b"Connection": b"close", b"X-API-Key": gateway.key.encode()}
        lines |= {b"Content-Length": str(len(body)).encode()} | headers
        head = b"%s %s%s HTTP/1.1\r\n" % (method.encode(), path.encode(), rest)
        live.run(send(head + b"".join(b"%s: %s\r\n" % line for line in lines.items()) + b"\r\n", body))

    ask()
    assert live.run(gateway.http.get("/api/sessions")).status_code == 200


def test_query_strings_of_any_kind_are_refused_or_answered(live: Live) -> None:
    gateway = live.gateway

    @QUICK
    @given(
        one_of(ASKED), st.lists(st.tuples(one_of(ASKED_BY), st.text(max_size=30) | st.integers().map(str)), max_size=6)
    )
    def ask(path: str, query: list[tuple[str, str]]) -> None:
        answer = live.run(
            gateway.http.get(path, params=[(name, value.encode(errors="replace")) for name, value in query])
        )
        assert answer.status_code in (200, 400, 404, 422), (path, query, answer.text)

    ask()


def test_frames_of_any_kind_are_answered_and_the_socket_lives_on(live: Live) -> None:
    socket: Socket = live.run(live.gateway.socket())

    async def send(frame: str | bytes) -> list[dict[str, Any]]:
        await socket.send_text(frame)
        # What is not urgent is answered in order, so this is told after the answer to the frame.
        await socket.send("deny", session_id="nobody", approval_id="none")
        return await socket.until("error", session_id="nobody")

    @QUICK
    @given(FRAMES)
    def ask(frame: str | bytes) -> None:
        try:
            frame.encode() if isinstance(frame, str) else frame
        except UnicodeEncodeError:
            return
        for answer in live.run(send(frame)):
            check_frame(answer)

    ask()
    frames = live.run(socket.say("hello"))
    assert frames[-1]["is_error"] is False


def test_bytes_that_are_no_frames_end_the_socket_and_nothing_else(live: Live) -> None:
    async def send(data: bytes) -> None:
        socket = await live.gateway.socket()
        await socket.stream.write(data)
        socket.close()

    @settings(QUICK, max_examples=40)
    @given(st.binary(min_size=1, max_size=200))
    def ask(data: bytes) -> None:
        live.run(send(data))

    async def say() -> str:
        return said(await (await live.gateway.socket()).say("hello"))

    ask()
    assert live.run(say())
