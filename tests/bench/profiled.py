"""Runs the gateway under a sampler: `python -m tests.bench.profiled FILE --dir ...`. Used by `python -m tests.bench --profile`.

Samples the main thread, where the event loop runs, at each millisecond of CPU time the process uses; other threads are given by their
CPU time only. A tracing profiler would slow small functions most and so misstate where the time goes.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import psutil

from starpod.server import main

INTERVAL_S = 0.001
DEPTH = 60


class Sampler:
    """Counts, for every function, the samples it was running in (self) and those it was on the stack in (total)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._own: Counter[str] = Counter()
        self._total: Counter[str] = Counter()
        self._samples = 0
        self._is_on = False

    def start(self) -> None:
        """SIGUSR1 begins, SIGUSR2 writes what was found."""
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, lambda *_: self._begin())
        signal.signal(signal.SIGUSR2, lambda *_: self._write())
        atexit.register(self._write)

    def _begin(self) -> None:
        self._threads = self._thread_times()
        self._is_on = True
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        self._samples += 1
        seen: set[str] = set()
        depth = 0
        while frame is not None and depth < DEPTH:
            code = frame.f_code
            name = f"{short(code.co_filename)}:{code.co_firstlineno} {code.co_qualname}"
            if depth == 0:
                self._own[name] += 1
            seen.add(name)
            frame = frame.f_back
            depth += 1
        self._total.update(seen)

    def _write(self) -> None:
        if not self._is_on:
            return
        self._is_on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        now = self._thread_times()
        threads = {name: used - self._threads.get(name, 0.0) for name, used in now.items()}
        found = {
            "samples": self._samples,
            "threads_cpu_s": threads,
            "self": self._own.most_common(80),
            "total": self._total.most_common(200),
        }
        self._path.write_text(json.dumps(found, indent=1))

    @staticmethod
    def _thread_times() -> dict[str, float]:
        main_id = os.getpid()
        return {
            "main" if thread.id == main_id else f"thread {thread.id}": thread.user_time + thread.system_time
            for thread in psutil.Process().threads()
        }


def short(filename: str) -> str:
    """A path from its package on."""
    _, _, behind = filename.rpartition("site-packages/")
    if behind and behind != filename:
        return behind
    root = f"{Path(__file__).resolve().parent.parent.parent}{os.sep}"
    return filename.removeprefix(root).rpartition("/python3.")[2]


if __name__ == "__main__":
    Sampler(Path(sys.argv[1])).start()
    sys.exit(main(sys.argv[2:]))
