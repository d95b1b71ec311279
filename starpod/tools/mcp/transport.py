"""How a server is reached: a process of our own by its pipes, or an address by HTTP. Imported only when a server is configured."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable
from typing import Unpack

import anyio
import httpx2
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastmcp.client.transports import ClientTransport, StreamableHttpTransport
from fastmcp.client.transports.base import SessionKwargs, TransportOptions
from mcp import ClientSession
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from starpod.net.tls import tls_context
from starpod.tasks import TaskSet
from starpod.tools.mcp.types import Launch

logger = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 8 * 1_048_576
LONG_LINE_BYTES = 128 * 1024
PATIENCE_S = 1.0
"""How long a program is given to end after each request to do so."""
MAX_EVENT_BYTES = 8 * 1_048_576
CONNECT_TIMEOUT_S = 10.0
TAIL_BYTES = 2_000


class StdioPipes(ClientTransport):
    """Runs the program once a connection, in a process group of its own that is gone when the connection closes.

    Its output is read here, not by the library: that bounds a line, drops what is no message, and lets a program that hangs be killed,
    which ends every wait for it. `on_end` is called when the program closes its output, also while nobody calls it.
    """

    def __init__(self, launch: Launch, on_end: Callable[[], None]) -> None:
        self._launch = launch
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._tasks = TaskSet(f"mcp.{launch.name}")
        self._ending = TaskSet(f"mcp.{launch.name}")
        self._tail = b""

    @property
    def last_line(self) -> str:
        """The last line of the program's error output that is not blank."""
        lines = [line for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return "".join(letter if letter.isprintable() else " " for letter in lines[-1]).strip()[:500] if lines else ""

    @contextlib.asynccontextmanager
    async def connect_session(
        self, *, transport_options: TransportOptions | None = None, **session_kwargs: Unpack[SessionKwargs]
    ) -> AsyncGenerator[ClientSession, None]:
        """A session with a new process; the process ends with it."""
        options = transport_options or TransportOptions()
        config = self._launch.config
        process = self._process = await asyncio.create_subprocess_exec(
            config.command or "",
            *config.args,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=get_default_environment() | dict(self._launch.env),
            cwd=self._launch.cwd,
            start_new_session=True,
            limit=MAX_MESSAGE_BYTES,
        )
        incoming_send, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        outgoing, outgoing_receive = anyio.create_memory_object_stream[SessionMessage](0)
        self._tasks.spawn(self._read(process, incoming_send), name="read")
        self._tasks.spawn(self._write(process, outgoing_receive), name="write")
        self._tasks.spawn(self._listen(process), name="errors")
        try:
            async with options.session_class(incoming, outgoing, **session_kwargs) as session:
                yield session
        finally:
            # A task of its own: whoever closes the connection may be cancelled once more meanwhile.
            await asyncio.shield(self._ending.spawn(self._end(process), name="end"))

    def kill(self) -> None:
        """End the program and its children at once, if they still run."""
        if self._process is not None:
            _signal(self._process, signal.SIGKILL)

    async def gone(self) -> None:
        """Wait until the process has ended and its pipes are closed; a few seconds at most."""
        self.kill()
        if self._process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await self._process.wait()
        await self._tasks.close()

    async def _read(
        self, process: asyncio.subprocess.Process, send: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        assert process.stdout is not None
        has_complained = False
        try:
            async with send:
                while True:
                    try:
                        line = await process.stdout.readline()
                    except ValueError:  # longer than the limit
                        line = b"?"
                    if not line:
                        return
                    message = await _parse(line)
                    if message is not None:
                        await send.send(message)
                    elif not has_complained:
                        has_complained = True
                        logger.warning("the MCP server %s writes what is no message to its output", self._launch.name)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            await _drain(process.stdout)
        finally:
            self._on_end()

    async def _write(
        self, process: asyncio.subprocess.Process, receive: MemoryObjectReceiveStream[SessionMessage]
    ) -> None:
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            async with receive:
                async for message in receive:
                    # uvloop's pipe, once it is closed, raises no ConnectionError.
                    if process.stdin.is_closing():
                        return
                    process.stdin.write(
                        message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
                    )
                    await process.stdin.drain()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while data := await process.stderr.read(65_536):
            self._tail = (self._tail + data)[-TAIL_BYTES:]

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Close its input, which is how a server is asked to end; then be less polite."""
        assert process.stdin is not None
        process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S):
                    await process.wait()
                    break
            _signal(process, number)
        # What it started may outlive it.
        _signal(process, signal.SIGKILL)
        await self.gone()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _parse(line: bytes) -> SessionMessage | None:
    """The message on a line; None when it is none. A long one is read in a thread."""
    try:
        if len(line) > LONG_LINE_BYTES:
            return SessionMessage(await asyncio.to_thread(jsonrpc_message_adapter.validate_json, line, by_name=False))
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _drain(stream: asyncio.StreamReader) -> None:
    """Let a program that ends write what it still has."""
    while await stream.read(65_536):
        pass


def http_transport(launch: Launch, on_status: Callable[[int], None]) -> StreamableHttpTransport:
    """A server at an address. Redirects are not followed: they would carry the headers elsewhere.

    `on_status` hears the status of every answer, which the library does not tell.
    """

    async def hear(response: httpx2.Response) -> None:
        on_status(response.status_code)

    def client(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        follow_redirects: bool = False,
    ) -> httpx2.AsyncClient:
        limits = httpx2.Timeout(CONNECT_TIMEOUT_S, read=float(max(300, launch.config.timeout_s)))
        return httpx2.AsyncClient(
            headers=headers,
            timeout=limits,
            auth=auth,
            follow_redirects=False,
            verify=tls_context(),
            event_hooks={"response": [hear]},
        )

    return StreamableHttpTransport(
        launch.config.url or "",
        headers=dict(launch.headers),
        httpx_client_factory=client,
        max_sse_event_size=MAX_EVENT_BYTES,
    )
