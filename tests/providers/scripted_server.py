"""The HTTP side that both scripted providers share: a Tornado server in a thread with its own loop, or in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, ClassVar

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets

from tests.providers.script import (
    Burst,
    CallTool,
    Cut,
    Fail,
    FailInStream,
    Hang,
    Received,
    Say,
    Script,
    SplitCharacter,
    Think,
    Usage,
    Wait,
    script,
)


def encode(value: Any) -> str:
    """Compact JSON that keeps multi-byte characters, so that splitting one is possible."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Encoder:
    """Turns steps into the events of one wire format. One instance a reply."""

    def __init__(self, reply: Script, model: str) -> None:
        self.reply = reply
        self.model = model

    def start(self) -> list[str]:
        raise NotImplementedError

    def text(self, piece: str) -> list[str]:
        raise NotImplementedError

    def text_key(self, piece: str) -> tuple[str, int] | None:
        """What the event of `piece` depends on, when it is one event that other replies may reuse."""
        return None

    def think(self, step: Think) -> list[str]:
        raise NotImplementedError

    def call(self, step: CallTool) -> list[str]:
        raise NotImplementedError

    def error(self, step: FailInStream) -> list[str]:
        raise NotImplementedError

    def end(self) -> list[str]:
        raise NotImplementedError

    def whole(self) -> dict[str, Any]:
        """The reply as one JSON body, for requests that do not stream."""
        raise NotImplementedError

    @staticmethod
    def failure(step: Fail) -> dict[str, Any]:
        """The body of an error status."""
        raise NotImplementedError


def framed(data: bytes) -> bytes:
    """`data` as one chunk of a chunked HTTP body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class ReplyHandler(tornado.web.RequestHandler):
    """Plays the next script. Writes pre-framed chunks straight to the stream: Tornado's own flush costs ten times that."""

    def initialize(self, server: ScriptedServer) -> None:
        self.server = server
        self._left = asyncio.Event()

    async def post(self) -> None:
        body = json.loads(self.request.body)
        headers = {name.lower(): value for name, value in self.request.headers.get_all()}
        self.record = Received(self.request.path, headers, body, time.monotonic())
        reply = self.server.take(self.record)
        first = reply.steps[0] if reply.steps else None
        if isinstance(first, Hang):
            await self._hang()
        if isinstance(first, Wait):
            await asyncio.to_thread(first.gate.wait)
        failure = next((step for step in reply.steps if isinstance(step, Fail)), None)
        if failure is not None:
            self._fail(failure)
            return
        encoder = self.server.encoder(reply, str(body.get("model")))
        if not body.get("stream"):
            self.set_header("content-type", "application/json")
            self.finish(encode(encoder.whole()))
            return
        try:
            await self._stream(encoder)
        except StreamClosedError:
            self.on_connection_close()

    def on_connection_close(self) -> None:
        self._left.set()
        record = getattr(self, "record", None)
        if record is not None and record.closed_at is None:
            record.closed_at = time.monotonic()
            record.closed.set()

    def _fail(self, step: Fail) -> None:
        self.set_status(step.status, "scripted")
        for name, value in step.headers.items():
            self.set_header(name, value)
        self.finish(self.server.encoder.failure(step))

    async def _hang(self) -> None:
        await self._left.wait()
        raise tornado.web.Finish

    async def _stream(self, encoder: Encoder) -> None:
        connection = self.request.connection
        assert connection is not None
        self._stream_out = connection.stream  # type: ignore[attr-defined]
        self._stream_out.set_nodelay(True)
        headers = HTTPHeaders({"Content-Type": "text/event-stream"})
        await connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers)
        self._send(*encoder.start())
        for step in encoder.reply.steps:
            if self.record.closed.is_set():
                return
            if not await self._play(encoder, step):
                return
        self._send(*encoder.end())
        self._finished = True
        connection.finish()

    async def _play(self, encoder: Encoder, step: object) -> bool:
        """Play one step of an open stream; False when the reply ends with it."""
        match step:
            case Say(pieces, delay_s):
                await self._say(encoder, pieces, delay_s)
            case Burst(pieces):
                self._stream_out.write(
                    b"".join(framed(event.encode()) for piece in pieces for event in encoder.text(piece))
                )
            case Think():
                self._send(*encoder.think(step))
            case CallTool():
                self._send(*encoder.call(step))
            case FailInStream():
                self._send(*encoder.error(step))
            case Wait(gate):
                await asyncio.to_thread(gate.wait)
            case SplitCharacter(text, pause_s):
                await self._split(encoder, text, pause_s)
            case Hang():
                await self._hang()
            case Cut(text):
                data = "".join(encoder.text(text)).encode()
                await self._stream_out.write(framed(data[: data.index(text.encode()) + len(text)]))
                self._stream_out.close()
                return False
            case Usage():
                pass
        return True

    async def _say(self, encoder: Encoder, pieces: Sequence[str], delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for piece in pieces:
            if delay_s:
                due += delay_s
                await asyncio.sleep(due - loop.time())
                if self.record.closed.is_set():
                    return
            self._stream_out.write(self.server.text_chunk(encoder, piece))

    async def _split(self, encoder: Encoder, text: str, pause_s: float) -> None:
        data = "".join(encoder.text(text)).encode()
        at = next(i for i, byte in enumerate(data) if byte >= 0x80) + 1
        await self._stream_out.write(framed(data[:at]))
        await asyncio.sleep(pause_s)
        await self._stream_out.write(framed(data[at:]))

    def _send(self, *events: str) -> None:
        if events:
            self._stream_out.write(framed("".join(events).encode()))


class ScriptedServer:
    """A provider on a free port. Scripts are played in order; the last one repeats. Use as a context manager, or `serve_forever`."""

    encoder: ClassVar[type[Encoder]]
    path: ClassVar[str]

    def __init__(self, *scripts: Script, port: int = 0) -> None:
        self.requests: list[Received] = []
        self._scripts = list(scripts) or [script("Hello.")]
        self._sockets = bind_sockets(port, "127.0.0.1")
        self.port: int = self._sockets[0].getsockname()[1]
        self._arrived = threading.Condition()
        self._chunks: dict[tuple[str, str, int], bytes] = {}
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def play(self, *scripts: Script) -> None:
        """Forget what was received and what was left to play; play these from now on."""
        self.requests.clear()
        self._scripts = list(scripts)

    def take(self, record: Received) -> Script:
        """Record a request and give it its script."""
        with self._arrived:
            self.requests.append(record)
            self._arrived.notify_all()
            return self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]

    def wait_for_requests(self, count: int, timeout_s: float = 5.0) -> bool:
        """Block until `count` requests came in."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.requests) >= count, timeout_s)

    def routes(self) -> list[Any]:
        """What the provider serves beside replies."""
        return []

    def text_chunk(self, encoder: Encoder, piece: str) -> bytes:
        """The framed bytes of one piece of text; cached, because a benchmark says the same pieces a million times."""
        key = encoder.text_key(piece)
        if key is None:
            return framed("".join(encoder.text(piece)).encode())
        chunk = self._chunks.get((encoder.model, *key))
        if chunk is None:
            chunk = self._chunks[(encoder.model, *key)] = framed("".join(encoder.text(piece)).encode())
        return chunk

    async def serve_forever(self) -> None:
        """Serve on the running loop until stopped."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        application = tornado.web.Application(
            [(self.path, ReplyHandler, {"server": self}), *self.routes()], log_function=lambda handler: None
        )
        server = HTTPServer(application)
        server.add_sockets(self._sockets)
        self._ready.set()
        try:
            await self._stop.wait()
        finally:
            server.stop()
            await server.close_all_connections()

    def __enter__(self) -> ScriptedServer:
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self.serve_forever()), daemon=True, name="scripted-provider"
        )
        self._thread.start()
        self._ready.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)


def run_as_program(server_class: type[ScriptedServer]) -> None:
    """`python -m tests.providers.<x>_server --port N --pieces 20 --delay-ms 50`: one endless script, for benchmarks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pieces", type=int, default=20, help="text events in a reply")
    parser.add_argument("--delay-ms", type=float, default=0.0, help="wait before every text event")
    parser.add_argument("--burst", action="store_true", help="send all text events in one write")
    given = parser.parse_args()
    pieces = tuple(f"word{number} " for number in range(given.pieces))
    step: Say | Burst = Burst(pieces) if given.burst else Say(pieces, given.delay_ms / 1000)
    server = server_class(script(step, Usage(10, given.pieces)), port=given.port)
    print(server.url, flush=True)
    asyncio.run(server.serve_forever())
