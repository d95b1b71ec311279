"""What the tests of the routes share: requests that no decent client would send, and credentials that nobody has."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any

from handlers.operations import Plain, Route
from handlers.routes import ROUTES
from tests.described import check_frame
from tests.gateway import TIMEOUT_S, Gateway

ODD_TOKENS = (
    "",
    " ",
    "sp_live_",
    "sp_live_" + "0" * 40,
    "sp_live_" + "\u00e9" * 40,
    "\u043a\u043b\u044e\u0447-\u043e\u0442-\u0434\u0432\u0435\u0440\u0438",
    "\U0001f600" * 8,
    "a" * 20_000,
    "%s%n{0}'\"\\;--",
)
# Addresses that stand for those routes whose pattern is no path.
PLAIN_PATHS = ("/", "/ws", "/i/x/ws", "/i/x/y", "/assets/x", "/icon.svg", "/chat", "/docs", "/mcp", "/v1/x", "/metrics")
JSON_TYPE = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it came over the wire; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)


def every_route(value: str = "x") -> list[tuple[Route | Plain, str]]:
    """Every route with an address that it answers, `value` in the place of each parameter that may be anything."""
    found: list[tuple[Route | Plain, str]] = []
    for route in ROUTES:
        if isinstance(route, Route):
            words = {name: allowed[0] if allowed else value for name, allowed in route.parameters.items()}
            found.append((route, route.template.format(**words)))
        else:
            found.append((route, next(path for path in PLAIN_PATHS if re.fullmatch(route.pattern, path))))
    return found


async def raw(gateway: Gateway, head: str | bytes, body: bytes = b"") -> Answer:
    """Send bytes as they are and read one answer; its body until its length, or until the connection ends."""
    async with asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.server.port)
        try:
            writer.write(head if isinstance(head, bytes) else head.replace("\n", "\r\n").encode("latin-1"))
            writer.write(body)
            status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            length = headers.get("content-length")
            content = await (reader.read() if length is None else reader.readexactly(int(length)))
            return Answer(int(status_line.split()[1]), headers, content)
        finally:
            writer.close()


def events_of(stream: bytes) -> list[dict[str, Any]]:
    """The data of server-sent events; checks that id and event name say the same as the data."""
    events = []
    for block in stream.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":"))
        if lines:
            event = json.loads(lines["data"])
            check_frame(event)
            assert (lines["id"], lines["event"]) == (str(event["seq"]), event["type"])
            events.append(event)
    return events
