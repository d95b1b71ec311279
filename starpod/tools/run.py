"""One shell command: what it wrote, how it stands, and why it was ended."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
from typing import TYPE_CHECKING, Literal

from starpod.tools.sandbox import Limits

if TYPE_CHECKING:
    import psutil

FLOOD_FACTOR = 64
"""A command that writes this many times what is kept of its output is ended."""

Why = Literal["time", "memory", "processes", "output", "stopped"]
RUNAWAY: tuple[Why, ...] = ("memory", "processes")
"""Who is ended for these is not asked first: a fork bomb would use the time to grow."""


class Output:
    """What a command wrote: its beginning and its end, each up to half of `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.size = 0
        self._told = 0

    def add(self, data: bytes) -> None:
        """Take more."""
        self.size += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail += data
            if len(self._tail) > 2 * self._half:
                del self._tail[: len(self._tail) - self._half]

    def text(self) -> str:
        """All that is kept, with a note where something is missing."""
        return self._between(0)

    def news(self) -> str:
        """What came since the last call."""
        told, self._told = self._told, self.size
        return self._between(told)

    def _between(self, start: int) -> str:
        tail = bytes(self._tail[-self._half :])
        tail_start = self.size - len(tail)
        head = bytes(self._head[start:])
        missing = tail_start - max(start, len(self._head))
        if missing > 0:
            note = f"\n[{missing} bytes of output left out]\n".encode()
            return (head + note + tail).decode(errors="replace")
        return (head + tail[max(0, start - tail_start) :]).decode(errors="replace")


class Run:
    """One command. `ended` is set when it and all its processes are gone."""

    def __init__(self, command: str, owner_id: str, limits: Limits, *, sandboxed: bool) -> None:
        self.id = secrets.token_hex(4)
        self.command = command
        self.owner_id = owner_id
        self.limits = limits
        self.sandboxed = sandboxed
        self.output = Output(limits.output_bytes)
        self.exit_code: int | None = None
        self.cut_by: Why | None = None
        self.ended = asyncio.Event()
        self.stopping = asyncio.Event()
        self.ended_at = 0.0
        self.seen: set[psutil.Process] = set()
        """Processes it was seen to have: they stay its own, also when they have left its group and emptied their environment."""

    def stop(self, why: Why) -> None:
        """Ask for its end; the first reason stays."""
        if not self.stopping.is_set() and not self.ended.is_set():
            self.cut_by = why
            self.stopping.set()

    def status(self) -> str:
        """How it stands, in words; empty when it ended well."""
        limits = self.limits
        match self.cut_by:
            case "time":
                return f"[stopped after {limits.timeout_s:g} seconds: the time limit]"
            case "memory":
                return f"[stopped: it used more than {limits.memory_mb} MB of memory]"
            case "processes":
                return f"[stopped: it started more than {limits.processes} processes]"
            case "output":
                return f"[stopped: it wrote more than {limits.output_bytes * FLOOD_FACTOR} bytes]"
            case "stopped":
                return "[stopped]"
        if not self.ended.is_set():
            return "[still running]"
        if self.exit_code is not None and self.exit_code < 0:
            with contextlib.suppress(ValueError):
                return f"[ended by {signal.Signals(-self.exit_code).name}]"
        return f"[exit code {self.exit_code}]" if self.exit_code else ""
