"""The scripted provider of the bench, a process of its own: OpenAI-compatible, each piece of text stamped with the time it was said."""

from __future__ import annotations

import asyncio
import json
import time

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets

from tests.bench.spec import Spec, find_spec, stamp
from tests.providers.openai_server import OpenAIEncoder
from tests.providers.script import CallTool, Usage, script
from tests.providers.scripted_server import framed

GATE_TIMEOUT_S = 120.0
SILENCE_S = 30.0
PIECES_BETWEEN_WAITS = 50


class Calls:
    """The gates, and which calls were cut off when."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}
        self.open: dict[str, int] = {}
        self.cut_at_ns: dict[str, int] = {}

    def gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())


class CompletionHandler(tornado.web.RequestHandler):
    """`POST /v1/chat/completions`, always streamed. Writes straight to the stream: Tornado's own flush costs ten times that."""

    def initialize(self, calls: Calls) -> None:
        self.calls = calls
        self.spec: Spec | None = None
        self._left = asyncio.Event()

    async def post(self) -> None:
        body = json.loads(self.request.body)
        self.spec = spec = find_spec(body)
        self.calls.open[spec.tag] = self.calls.open.get(spec.tag, 0) + 1
        encoder = OpenAIEncoder(script(Usage(10, spec.pieces)), str(body["model"]))
        connection = self.request.connection
        assert connection is not None
        stream: IOStream = connection.stream  # type: ignore[attr-defined]
        stream.set_nodelay(True)
        try:
            headers = HTTPHeaders({"Content-Type": "text/event-stream"})
            await connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers)
            stream.write(framed("".join(encoder.start()).encode()))
            if spec.mode == "tools" and body["messages"][-1]["role"] == "user":
                stream.write(framed("".join(encoder.call(CallTool("FileList"))).encode()))
            elif spec.mode == "say":
                await self._say(stream, encoder, spec)
            else:
                await asyncio.wait_for(self._left.wait(), SILENCE_S)
                raise tornado.web.Finish
            if not self._left.is_set():
                stream.write(framed("".join(encoder.end()).encode()))
                connection.finish()
                self._finished = True
        except StreamClosedError:
            self.on_connection_close()
        finally:
            self.calls.open[spec.tag] -= 1

    async def _say(self, stream: IOStream, encoder: OpenAIEncoder, spec: Spec) -> None:
        if spec.gate:
            await asyncio.wait_for(self.calls.gate(spec.gate).wait(), GATE_TIMEOUT_S)
        # The event around a piece is always the same, so it is made once.
        head, tail = encoder.text("\0")[0].split("\\u0000")
        loop = asyncio.get_running_loop()
        due = loop.time() + spec.phase_s
        for number in range(spec.pieces):
            if spec.rate:
                await asyncio.sleep(due - loop.time())
                due += 1 / spec.rate
            if self._left.is_set():
                return
            written = stream.write(framed(f"{head}{stamp(number, time.monotonic_ns())}{tail}".encode()))
            if number % PIECES_BETWEEN_WAITS == PIECES_BETWEEN_WAITS - 1 and not spec.rate:
                await written

    def on_connection_close(self) -> None:
        if not self._left.is_set():
            self._left.set()
            if self.spec is not None:
                self.calls.cut_at_ns[self.spec.tag] = time.monotonic_ns()


class GateHandler(tornado.web.RequestHandler):
    """`POST /gates/NAME` lets everyone go who waits there."""

    def initialize(self, calls: Calls) -> None:
        self.calls = calls

    def post(self, name: str) -> None:
        self.calls.gate(name).set()


class CallHandler(tornado.web.RequestHandler):
    """`GET /calls/TAG`: how many calls of that tag are open, and when one was cut off (null: never)."""

    def initialize(self, calls: Calls) -> None:
        self.calls = calls

    def get(self, tag: str) -> None:
        self.finish({"open": self.calls.open.get(tag, 0), "cut_at_ns": self.calls.cut_at_ns.get(tag)})


async def serve() -> None:
    """Serve until killed; prints the port."""
    shared = {"calls": Calls()}
    routes = [
        (r"/v1/chat/completions", CompletionHandler, shared),
        (r"/gates/(\w+)", GateHandler, shared),
        (r"/calls/(\w+)", CallHandler, shared),
    ]
    sockets = bind_sockets(0, "127.0.0.1", backlog=2048)
    server = HTTPServer(tornado.web.Application(routes, log_function=lambda handler: None))
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
