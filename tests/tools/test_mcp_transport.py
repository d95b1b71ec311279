"""The pipes to an MCP server's program, on the loop that the gateway runs on."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp.client.transports.base import TransportOptions
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCNotification

from starpod.config.mcp import McpServerConfig
from starpod.tools.mcp.transport import StdioPipes
from starpod.tools.mcp.types import Launch

uvloop = pytest.importorskip("uvloop")


class Talk:
    """In the place of a session: the two streams as they are."""

    def __init__(self, incoming: Any, outgoing: Any, **given: Any) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    async def __aenter__(self) -> Talk:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.incoming.close()
        self.outgoing.close()


def test_what_is_said_to_a_program_that_has_ended_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = McpServerConfig(command=sys.executable, args=("-c", "pass"))

    async def talk() -> None:
        pipes = StdioPipes(Launch("brief", config, {}, {}, tmp_path), lambda: None)
        options = TransportOptions(session_class=Talk)  # type: ignore[arg-type]
        async with asyncio.timeout(20), pipes.connect_session(transport_options=options) as session:
            with pytest.raises(anyio.EndOfStream):
                await session.incoming.receive()  # type: ignore[attr-defined]
            note = SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized"))
            with contextlib.suppress(anyio.BrokenResourceError):
                while True:  # until nobody takes it any more
                    await session.outgoing.send(note)  # type: ignore[attr-defined]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(talk())
    assert caplog.records == []
