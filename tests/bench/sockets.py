"""Raw clients that cost little beside what they measure: WebSocket frames and keep-alive HTTP on plain asyncio protocols."""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Callable
from typing import Any, cast

TIMEOUT_S = 120.0
DELTA = b'{"type":"text_delta"'


class SocketClient(asyncio.Protocol):
    """A WebSocket. `on_frame(payload, received_ns)` is called for every text frame. Masks with zeros, so nothing need be computed."""

    def __init__(self, on_frame: Callable[[bytes, int], None]) -> None:
        self._on_frame = on_frame
        self._rest = b""
        self._is_open = False
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self.is_lost = False

    async def open(self, port: int, path: str) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(lambda: self, "127.0.0.1", port)
        self._transport = transport
        transport.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await asyncio.wait_for(self._opened, TIMEOUT_S)

    def send(self, **fields: Any) -> None:
        assert self._transport is not None
        self._write(0x81, json.dumps(fields).encode())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self._opened.done():
            self._opened.set_exception(exc or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if self._rest:
            data = self._rest + data
        at = 0
        if not self._is_open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            self._is_open = True
            if data.startswith(b"HTTP/1.1 101"):
                self._opened.set_result(None)
            else:
                self._opened.set_exception(ConnectionRefusedError(data[:200].decode(errors="replace")))
            at = end + 4
        while (frame := _frame(data, at)) is not None:
            opcode, start, end = frame
            if opcode == 1:
                self._on_frame(data[start:end], now)
            elif opcode == 9:
                self._write(0x8A, data[start:end])
            at = end
        self._rest = data[at:]

    def _write(self, first: int, payload: bytes) -> None:
        assert self._transport is not None
        size = len(payload)
        head = bytes((first, 0x80 | size)) if size < 126 else struct.pack("!BBH", first, 0x80 | 126, size)
        self._transport.write(head + b"\0\0\0\0" + payload)


class Requester(asyncio.Protocol):
    """One keep-alive connection that sends the same GET again as soon as it is answered, until `until` (loop time)."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._loop = asyncio.get_running_loop()
        self._rest = b""
        self.count = 0
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + _content_length(data[:end]):
            self._rest = data
            return
        assert self._transport is not None
        self._rest = b""
        if not data.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(ConnectionRefusedError(data[:300].decode(errors="replace")))
            self._transport.close()
            return
        self.count += 1
        if self._loop.time() < self._until:
            self._transport.write(self._request)
        else:
            self.done.set_result(None)
            self._transport.close()


async def request(port: int, method: str, path: str, body: bytes = b"", headers: str = "") -> bytes:
    """One request on a connection of its own; the body of a 2xx, else ConnectionRefusedError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.read(), TIMEOUT_S)
    finally:
        writer.close()
    before, _, after = answer.partition(b"\r\n\r\n")
    if not before.startswith(b"HTTP/1.1 2"):
        raise ConnectionRefusedError(before[:200].decode(errors="replace"))
    return after


def _frame(data: bytes, at: int) -> tuple[int, int, int] | None:
    """(opcode, start, end) of the unmasked frame at `at`, None while it is incomplete."""
    if len(data) < at + 2:
        return None
    size, start = data[at + 1] & 0x7F, at + 2
    if size == 126:
        if len(data) < at + 4:
            return None
        size, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
    elif size == 127:
        if len(data) < at + 10:
            return None
        size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
    return (data[at] & 0x0F, start, start + size) if len(data) >= start + size else None


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    at = lowered.index(b"content-length:") + 15
    end = lowered.find(b"\r\n", at)
    return int(lowered[at : end if end > 0 else None])
