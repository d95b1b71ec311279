"""The processes of a bench run: gateway, bare server, provider and load, each its own, all on 127.0.0.1 and all ended with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from starpod.server import prepare

KEY = "bench-key-" + "0" * 32
LOAD_TIMEOUT_S = 900.0
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0
SETTINGS = {
    "auth": "rate_limit_requests = 0\nfailed_attempts = 0",
    "turns": "max_parallel = 1000\nqueue_limit = 100",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A server under load: where it listens, and what a request to it carries."""

    process: subprocess.Popen[str]
    port: int
    socket_path: str
    headers: str

    @property
    def resident_mb(self) -> float:
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6

    @property
    def cpu_s(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


class Bench:
    """One run: a folder with an agent, a provider, and whatever servers are started on them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.provider_port = int(self._first_line(self._start("tests.bench.provider")))
        self.environ = {**os.environ, "STARPOD_API_KEY": KEY, "LOCAL_API_KEY": "unused", "PYTHONUNBUFFERED": "1"}
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            self.environ.pop(name, None)

    def make_agent(self, name: str) -> Path:
        """A folder with an agent whose only model is the scripted provider, without limits."""
        folder = self.folder / name
        folder.mkdir()
        paths, _ = prepare(folder, self.environ)
        # A few keys over the defaults; tables that stand twice would be an error, so the file is written anew.
        lines = ['models = ["local/bench"]', "shutdown_grace_s = 0"]
        lines += [f"[{table}]\n{keys}" for table, keys in SETTINGS.items()]
        lines += ["[providers.local]", f'base_url = "http://127.0.0.1:{self.provider_port}/v1"']
        paths.agent_toml.write_text("\n".join(lines) + "\n")
        return folder

    def start_gateway(
        self,
        folder: Path,
        *,
        port: int = 0,
        profile: Path | None = None,
        is_metered: bool = True,
        is_small: bool = False,
    ) -> Target:
        """A gateway on that agent; with `profile`, one that writes where its time went when it stops."""
        module = ["starpod.server" if is_metered else "tests.bench.unmetered"]
        if profile is not None:
            module = ["tests.bench.profiled", str(profile)]
        arguments = [*module, "--dir", str(folder), "--port", str(port or free_port())]
        process = self._start(*arguments, *(["--small"] if is_small else []), environ=self.environ)
        found = int(arguments[-1])
        wait_for_health(found)
        return Target(process, found, f"/ws?token={KEY}", f"X-API-Key: {KEY}\r\n")

    def start_bare(self, *, port: int = 0) -> Target:
        """The bare server."""
        process = self._start("tests.bench.bare", str(self.provider_port), str(port or free_port()))
        return Target(process, int(self._first_line(process)), "/ws", "")

    def load(self, kind: str, target: Target, **given: Any) -> dict[str, Any]:
        """Do one measurement in a process of its own. RuntimeError with its complaint when it fails."""
        options = {"port": target.port, "path": target.socket_path, "headers": target.headers} | given
        options["provider_port"] = self.provider_port
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load", kind, json.dumps(options)],
            capture_output=True, text=True, timeout=LOAD_TIMEOUT_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{kind} {given} failed: {done.stderr.strip().splitlines()[-1:]}")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def stop(self, target: Target) -> None:
        """End a server that is no longer needed."""
        end(target.process)

    def _start(self, module: str, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
        log = (self.folder / f"{module}.log").open("a")
        self._stack.callback(log.close)
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, stderr=log, text=True, env=environ
        )
        self._stack.callback(end, process)
        return process

    @staticmethod
    def _first_line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A bench whose processes and files are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="starpod-bench-") as folder, contextlib.ExitStack() as stack:
        yield Bench(Path(folder), stack)


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, and SIGKILL when that is not heard."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_health(port: int) -> None:
    """Return once `/api/health` answers 200; TimeoutError after a while."""
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(f"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                if connection.recv(100).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.002)
    raise TimeoutError(f"nothing healthy on port {port}")


def fetch(target: Target, path: str) -> bytes:
    """The body of a GET, signed in."""
    headers = dict(line.split(": ", 1) for line in target.headers.splitlines())
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{target.port}{path}", headers=headers), timeout=10
    ) as answer:
        content: bytes = answer.read()
        return content


def put(target: Target, path: str, content: bytes) -> None:
    """Store bytes on the bare server."""
    call = urllib.request.Request(f"http://127.0.0.1:{target.port}{path}", data=content, method="PUT")
    urllib.request.urlopen(call, timeout=10).close()
