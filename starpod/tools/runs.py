"""Shell commands while they run: their output, their limits, and their end, which takes all their processes along."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from starpod.tasks import TaskSet
from starpod.tools.sandbox import Limits, command_line, environment

if TYPE_CHECKING:
    import psutil

logger = logging.getLogger(__name__)

READ_BYTES = 65_536
SURVEY_SECS = 0.25
GRACE_SECS = 2.0
DRAIN_SECS = 0.3
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


class Runs:
    """All commands of the gateway. `close` ends them. `hidden` is the gateway's own folder."""

    def __init__(self, hidden: Path | None = None) -> None:
        self._hidden = hidden
        self._tasks = TaskSet("shell")
        self._runs: dict[str, Run] = {}

    async def start(
        self, command: str, owner_id: str, home: Path, limits: Limits, *, sandboxed: bool, network: bool
    ) -> Run:
        """Start a command in `home`. OSError when no process can be made."""
        run = Run(command, owner_id, limits, sandboxed=sandboxed)
        arguments = await asyncio.to_thread(
            command_line, command, home, limits, sandboxed=sandboxed, network=network, hidden=self._hidden
        )
        reading, writing = os.pipe()
        try:
            # Not asyncio's own pipes: with these, waiting for the shell's end would last until its last child has closed them.
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                cwd=home,
                env=environment(home, run.id),
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self._runs[run.id] = run
        self._tasks.spawn(self._see_through(run, process, reading), name=f"run.{run.id}")
        return run

    def find(self, run_id: str, owner_id: str) -> Run | None:
        """A run of this owner's."""
        run = self._runs.get(run_id)
        return run if run is not None and run.owner_id == owner_id else None

    def of(self, owner_id: str) -> list[Run]:
        """All runs of an owner that are remembered, the oldest first."""
        return [run for run in self._runs.values() if run.owner_id == owner_id]

    def forget_when_ended(self, run: Run) -> None:
        """Nobody will ask for it by its id; while it runs it is kept, so that `close` ends it."""
        if run.ended.is_set():
            self._runs.pop(run.id, None)
        else:
            self._tasks.spawn(self._forget(run), name=f"forget.{run.id}")

    def sweep(self, *, keep_s: float) -> None:
        """Forget what ended longer than `keep_s` seconds ago."""
        horizon = time.monotonic() - keep_s
        for run in [run for run in self._runs.values() if run.ended.is_set() and run.ended_at < horizon]:
            del self._runs[run.id]

    async def close(self) -> None:
        """End every command, with all its processes."""
        running = [run for run in self._runs.values() if not run.ended.is_set()]
        for run in running:
            run.stop("stopped")
        if running:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECS + 3):
                    await asyncio.gather(*(run.ended.wait() for run in running))
        await self._tasks.close()

    async def _forget(self, run: Run) -> None:
        await run.ended.wait()
        self._runs.pop(run.id, None)

    async def _see_through(self, run: Run, process: asyncio.subprocess.Process, reading: int) -> None:
        """Read, watch, and at the end leave nothing behind."""
        # Not for gateways that never run a command: see the module.
        from starpod.tools import processes

        helpers = TaskSet("shell-run")
        try:
            reader = helpers.spawn(_read(run, reading), name="read")
            exited = helpers.spawn(process.wait(), name="wait")
            stopping = helpers.spawn(run.stopping.wait(), name="stop")
            helpers.spawn(_survey(run, process.pid), name="survey")
            await asyncio.wait((exited, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                if run.cut_by not in RUNAWAY:
                    await asyncio.to_thread(processes.terminate, process.pid, run)
                    await asyncio.wait((exited,), timeout=GRACE_SECS)
            else:
                # A last look at what is in the pipe; a child that holds it open must not keep us.
                await asyncio.wait((reader,), timeout=DRAIN_SECS)
        finally:
            if run.sandboxed:
                # Bubblewrap takes all processes of its namespace along at once, however many and however fast they fork.
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            # Also when this task is cancelled: a thread cannot be, so the kill is done whole.
            killing = asyncio.get_running_loop().run_in_executor(None, processes.kill, process.pid, run)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(killing)
            with contextlib.suppress(asyncio.CancelledError, TimeoutError):
                async with asyncio.timeout(GRACE_SECS):
                    run.exit_code = await process.wait()
            await helpers.close()
            run.ended_at = time.monotonic()
            run.ended.set()


async def _read(run: Run, reading: int) -> None:
    """Take the output as it comes, so that the command never waits for us."""
    loop = asyncio.get_running_loop()
    stream = asyncio.StreamReader(limit=READ_BYTES)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reading, "rb", 0)
    )
    try:
        while data := await stream.read(READ_BYTES):
            run.output.add(data)
            if run.output.size > run.limits.output_bytes * FLOOD_FACTOR:
                run.stop("output")
                return
    finally:
        transport.close()


async def _survey(run: Run, pid: int) -> None:
    """Count processes and memory now and then."""
    from starpod.tools import processes

    while True:
        count, rss = await asyncio.to_thread(processes.usage, run, pid)
        if count > run.limits.processes:
            return run.stop("processes")
        if rss > run.limits.memory_mb * 1_048_576:
            return run.stop("memory")
        await asyncio.sleep(SURVEY_SECS)
