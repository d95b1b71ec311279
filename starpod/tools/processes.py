"""The processes of a shell command: counted, asked to end, ended. All functions block: call them off the event loop.

`psutil` is two megabytes that a gateway without a shell need not hold, so this module is imported by the first command.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import psutil

from starpod.tools.sandbox import MARK

if TYPE_CHECKING:
    from starpod.tools.run import Run

logger = logging.getLogger(__name__)


def usage(run: Run, pid: int) -> tuple[int, int]:
    """How many processes a run has, and the bytes of memory they hold together, as far as these still matter."""
    run.seen = {process for process in run.seen if process.is_running()} | set(_descendants(pid))
    count, rss = len(run.seen), 0
    if count > run.limits.processes:
        return count, rss
    for process in run.seen:
        with contextlib.suppress(psutil.Error):
            rss += process.memory_info().rss
    return count, rss


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def terminate(pid: int, run: Run) -> None:
    """Ask every process of a run to end. Bubblewrap itself is spared: with it the others would go without having been asked."""
    for process in _members(pid, run):
        with contextlib.suppress(psutil.Error):
            if process.name() != "bwrap":
                process.terminate()


def kill(pid: int, run: Run) -> None:
    """End every process of a run, until none is left: one that forks faster than we look is met again."""
    for _ in range(100):
        members = list(_members(pid, run))
        if not members:
            return
        for process in members:
            # First hold all of them, so that none makes another one while its neighbour is ended.
            with contextlib.suppress(psutil.Error):
                process.suspend()
        for process in members:
            with contextlib.suppress(psutil.Error):
                process.kill()
        # Not psutil's own waiting: it would take the exit code away from asyncio.
        time.sleep(0.02)
    logger.warning("some processes of a shell command could not be ended")


def _members(pid: int, run: Run) -> Iterator[psutil.Process]:
    """The processes of a run: below its first one, of its session, marked as its, or seen as its before."""
    below = {process.pid for process in (*_descendants(pid), *run.seen) if process.is_running()}
    me = os.getpid()
    for process in psutil.process_iter():
        try:
            belongs = process.pid in below or _session(process.pid) == pid or _mark(process) == run.id
            if belongs and process.pid != me and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None
