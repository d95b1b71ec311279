"""A socket's way out: bounded, one writer, whole frames joined into as few writes as the reader allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tornado.iostream import IOStream, StreamClosedError


class Outbox:
    """A frame that comes alone leaves at once; those that follow it in the same pass of the loop leave together in one write.

    While the reader is slow they wait, up to `limit_bytes`.
    """

    def __init__(self, stream: IOStream, limit_bytes: int, on_full: Callable[[], None]) -> None:
        self._stream = stream
        self._limit = limit_bytes
        self._on_full = on_full
        self._frames: list[bytes] = []
        self._size = 0
        self._is_due = False
        self._is_writing = False
        self._is_closed = False

    def send(self, frame: bytes) -> None:
        """Queue one frame. Calls `on_full` once, and drops everything, when the reader is too far behind."""
        if self._is_closed:
            return
        # One frame may be larger than the limit (an attachment): only what waits behind an unfinished write counts.
        if self._is_writing and self._size + len(frame) > self._limit:
            self.close()
            self._on_full()
            return
        self._frames.append(frame)
        self._size += len(frame)
        if not self._is_due and not self._is_writing:
            self._is_due = True
            self._write()
            asyncio.get_running_loop().call_soon(self._catch_up)

    def close(self) -> None:
        """Drop what waits and take no more."""
        self._is_closed = True
        self._frames.clear()
        self._size = 0

    def _catch_up(self) -> None:
        self._is_due = False
        if not self._is_writing:
            self._write()

    def _write(self) -> None:
        if self._is_closed or not self._frames:
            return None
        data = self._frames[0] if len(self._frames) == 1 else b"".join(self._frames)
        self._frames.clear()
        self._size = 0
        try:
            written = self._stream.write(data)
        except StreamClosedError:
            return self.close()
        if not written.done():
            self._is_writing = True
            written.add_done_callback(self._written)
        elif not written.cancelled() and written.exception() is not None:
            self.close()

    def _written(self, written: asyncio.Future[None]) -> None:
        self._is_writing = False
        if written.cancelled() or written.exception() is not None:
            return self.close()
        self._write()
