"""Shell commands while they run: their output, their limits, and their end, which takes all their processes along."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path

from starpod.tasks import TaskSet
from starpod.tools.run import FLOOD_FACTOR, RUNAWAY, Run
from starpod.tools.sandbox import Limits, command_line, environment

logger = logging.getLogger(__name__)

READ_BYTES = 65_536
SURVEY_SECS = 0.25
GRACE_SECS = 2.0
DRAIN_SECS = 0.3


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
