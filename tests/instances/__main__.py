"""Measures instances with real processes: `python -m tests.instances --count 20`. Prints one figure a line.

Fails when an instance idles too large.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx2
import psutil

from starpod.instances.child import read_address
from tests.gateway import ADMIN_KEY

IDLE_S = 5.0
MOST_RESIDENT_MIB = 60.0


def start(folder: Path) -> tuple[subprocess.Popen[bytes], httpx2.Client]:
    """A parent gateway, ready to answer."""
    (folder / ".starpod" / "db").mkdir(parents=True, exist_ok=True)
    (folder / ".starpod" / "db" / "gateway.lock").write_text("")
    command = [sys.executable, "-m", "starpod.server", "--dir", str(folder), "--port", "0"]
    environ = os.environ | {"STARPOD_API_KEY": ADMIN_KEY}
    parent = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (address := read_address(folder)):
        time.sleep(0.02)
    http = httpx2.Client(base_url=address, headers={"X-API-Key": ADMIN_KEY}, timeout=60.0, trust_env=False)
    # The waiting here asks more often than people may.
    http.put("/api/settings/auth", json={"rate_limit_requests": 0}).raise_for_status()
    return parent, http


def until_running(http: httpx2.Client, instance_id: str) -> None:
    """Wait until it answers through the parent."""
    while http.get(f"/i/{instance_id}/api/health").status_code != 200:
        time.sleep(0.02)


def measure(folder: Path, count: int) -> bool:
    """All figures, one after the other; whether the largest instance is small enough."""
    parent, http = start(folder)
    ids, times = [], []
    for _ in range(count):
        began = time.perf_counter()
        ids.append(http.post("/api/instances", json={}).json()["id"])
        until_running(http, ids[-1])
        times.append(time.perf_counter() - began)
    print(f"create to first healthy answer: median {statistics.median(times):.2f} s, slowest {max(times):.2f} s")
    place = folder / ".starpod" / "instances"
    pids = {each: int((place / each / "instance.pid").read_text()) for each in ids}
    time.sleep(IDLE_S)
    largest = 0.0
    for what in ("rss", "pss"):
        taken = [getattr(psutil.Process(pid).memory_full_info(), what) / 2**20 for pid in pids.values()]
        print(f"idle, {what}: mean {statistics.mean(taken):.1f} MiB, most {max(taken):.1f} MiB, {count} instances")
        largest = max(largest, *taken)
    back = []
    for each, pid in pids.items():
        began = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        until_running(http, each)
        back.append(time.perf_counter() - began)
    print(f"back after kill -9: median {statistics.median(back):.2f} s, slowest {max(back):.2f} s")
    pids = {each: int((place / each / "instance.pid").read_text()) for each in ids}
    parent.kill()
    parent.wait()
    print(f"living after kill -9 of the parent: {sum(psutil.pid_exists(pid) for pid in pids.values())} of {count}")
    parent, http = start(folder)
    for each in ids:
        until_running(http, each)
    same = sum(int((place / each / "instance.pid").read_text()) == pid for each, pid in pids.items())
    print(f"adopted by the next parent: {same} of {count}")
    for each in ids:
        http.delete(f"/api/instances/{each}")
    print(f"processes left after delete: {sum(psutil.pid_exists(pid) for pid in pids.values())}")
    parent.terminate()
    parent.wait()
    return largest < MOST_RESIDENT_MIB


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.instances")
    parser.add_argument("--count", type=int, default=20)
    with tempfile.TemporaryDirectory() as name:
        sys.exit(not measure(Path(name), parser.parse_args().count))
