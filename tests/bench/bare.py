"""What the gateway is measured against: plain Tornado doing the same outward work without accounts, storage, agent or SDK.

`/bytes` writes given bytes; `/ws` asks the scripted provider and passes each event's text on with `write_message`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
from collections.abc import AsyncIterator
from typing import Any

import tornado.web
import tornado.websocket
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets


class BytesHandler(tornado.web.RequestHandler):
    """`PUT` sets what `GET` writes."""

    content = b"[]"

    def put(self) -> None:
        BytesHandler.content = self.request.body

    def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.write(self.content)


class HealthHandler(tornado.web.RequestHandler):
    """`/api/health`, for the start time."""

    def get(self) -> None:
        self.write({"status": "ok"})


class Provider:
    """A minimal client of the scripted provider: keep-alive connections, chunked bodies, one JSON parse an event."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, text: str) -> AsyncIterator[str]:
        body = json.dumps({"model": "bare", "stream": True, "messages": [{"role": "user", "content": text}]}).encode()
        connection = self._idle.pop() if self._idle else await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = connection
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )
        await reader.readuntil(b"\r\n\r\n")
        while size := int(await reader.readline(), 16):
            for event in (await reader.readexactly(size + 2)).decode().split("\n\n"):
                if event.startswith("data: {"):
                    choices = json.loads(event[6:])["choices"]
                    if choices and (said := choices[0]["delta"].get("content")):
                        yield said
        await reader.readline()
        self._idle.append(connection)


class RelayHandler(tornado.websocket.WebSocketHandler):
    """Speaks as much of the gateway's protocol as the load needs."""

    readers: dict[str, list[RelayHandler]] = {}  # noqa: RUF012 (one process, one relay)
    tasks: set[asyncio.Task[None]] = set()  # noqa: RUF012

    def initialize(self, provider: Provider) -> None:
        self.provider = provider

    def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)

    def on_message(self, message: str | bytes) -> None:
        frame = json.loads(message)
        if frame["type"] == "resume":
            self.readers[frame["session_id"]].append(self)
            self.say("stream_start", frame["session_id"], 1)
        else:
            task = asyncio.ensure_future(self.relay(frame))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def relay(self, frame: dict[str, Any]) -> None:
        session_id = str(uuid.uuid4())
        self.say("accepted", session_id, 0)
        readers = self.readers[session_id] = [self]
        self.say("stream_start", session_id, 1)
        seq = 2
        try:
            async for text in self.provider.ask(frame["text"]):
                for reader in readers:
                    reader.say("text_delta", session_id, seq, text=text)
                seq += 1
            for reader in readers:
                reader.say("stream_end", session_id, seq)
        finally:
            del self.readers[session_id]

    def say(self, kind: str, session_id: str, seq: int, **fields: Any) -> None:
        body = {"type": kind, **fields, "session_id": session_id, "turn_id": session_id, "seq": seq}
        with contextlib.suppress(tornado.websocket.WebSocketClosedError):
            self.write_message(json.dumps(body, separators=(",", ":")))


async def serve(provider_port: int, port: int) -> None:
    """Serve until killed; prints the port."""
    routes: list[Any] = [
        (r"/bytes", BytesHandler),
        (r"/api/health", HealthHandler),
        (r"/ws", RelayHandler, {"provider": Provider(provider_port)}),
    ]
    sockets = bind_sockets(port, "127.0.0.1", backlog=2048)
    server = HTTPServer(tornado.web.Application(routes, log_function=lambda handler: None))
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
