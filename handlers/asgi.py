"""Lets an ASGI application answer a request that Tornado has received."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import tornado.iostream

from handlers.base import BaseHandler
from handlers.operations import EVENT_STREAM
from starpod.channels.mcp.service import Message, Receive, Scope, Send

# Tornado frames bodies itself.
OWN_HEADERS = frozenset({"content-length", "connection", "transfer-encoding"})


async def answer(handler: BaseHandler, application: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
    """Hand the request over and write what comes back; the application hears of it when the client goes away."""
    gone = asyncio.Event()
    handler.when_gone(gone.set)
    body: list[bytes] = [handler.read_bytes()]

    async def receive() -> Message:
        if body:
            return {"type": "http.request", "body": body.pop(), "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        is_live = False
        if message["type"] == "http.response.start":
            handler.set_status(message["status"])
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message.get("headers", ())}
            for name, value in headers.items():
                if name.lower() not in OWN_HEADERS:
                    handler.set_header(name, value)
            # Whoever opens a stream waits for its headers, not for its first event.
            is_live = headers.get("content-type", "").startswith(EVENT_STREAM)
        elif not gone.is_set():
            handler.write(message.get("body", b""))
            is_live = message.get("more_body", False)
        if is_live and not gone.is_set():
            try:
                await handler.flush()
            except tornado.iostream.StreamClosedError:
                gone.set()

    await application(scope_of(handler), receive, send)
    with contextlib.suppress(tornado.iostream.StreamClosedError):
        await handler.finish()


def scope_of(handler: BaseHandler) -> Scope:
    """The request as ASGI describes it (HTTP connection scope, version 2.3)."""
    request = handler.request
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers.get_all()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.version.removeprefix("HTTP/"),
        "method": request.method,
        "scheme": request.protocol,
        "path": request.path,
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": "",
        "headers": headers,
        "client": (handler.address, 0),
        "server": None,
    }
