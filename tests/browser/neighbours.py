"""How much of the machine other programs took while something was measured (Linux; elsewhere it counts as nothing)."""

from __future__ import annotations

import os
import time
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


class Neighbours:
    """Starts to count when it is made."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._all, self._own = _busy_ticks(), _own_ticks()

    @property
    def cores(self) -> float:
        """Cores that programs outside of this process and its descendants kept busy, on average since the start."""
        foreign = _busy_ticks() - self._all - (_own_ticks() - self._own)
        return max(0.0, foreign / TICKS / max(0.001, time.monotonic() - self._began))


def _busy_ticks() -> int:
    """What all cores have worked since the machine started: everything in proc(5) `stat` but idle and iowait."""
    try:
        fields = [int(each) for each in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return 0
    return sum(fields) - fields[3] - fields[4]


def _own_ticks() -> int:
    """What this process and its descendants have worked, those included that have ended and were waited for."""
    parents, ticks = {}, {}
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(int(each) for each in fields[11:15])

    def is_mine(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return sum(count for pid, count in ticks.items() if is_mine(pid))
