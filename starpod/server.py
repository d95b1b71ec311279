"""The composition root: arguments, configuration, state, listening, signals, shutdown. `python -m starpod.server` starts here."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tornado.httpserver
import tornado.ioloop
import tornado.netutil

from handlers.base import UnknownPathHandler
from handlers.notices import Notices
from handlers.routes import ROUTES, describe, route_names
from starpod.agent.service import Agent
from starpod.app import Application
from starpod.auth.origins import is_loopback
from starpod.auth.service import Auth
from starpod.auth.types import Bootstrap, User
from starpod.clock import SystemClock
from starpod.config.loader import LoadedConfig, load_config
from starpod.config.log_levels import apply_logging
from starpod.config.scaffold import complete_agent, create_agent
from starpod.config.types import split_address
from starpod.cron.notifier import Notifier
from starpod.errors import InvalidInput, StarpodError
from starpod.paths import Paths, find_root, resolve_paths
from starpod.state import AppState, open_state
from starpod.supervisor import Supervisor
from starpod.telemetry.collector import open_tracer, traces_address
from starpod.version import __version__

logger = logging.getLogger("starpod.server")  # also when run as __main__

PULSE_MS = 1000
M_ARENA_MAX = -8  # malloc.h
MAX_BODY = 64 * 1024 * 1024
MAX_HEADER = 512 * 1024
"""Room for a question of 100 kB in an address, which makes three letters of one that is not ASCII."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for."""

    folder: Path
    host: str | None
    port: int | None
    is_small: bool = False


def tune_process() -> None:
    """Settings of the whole process that the program's threads need to get along."""
    # A thread that comes back from SQLite otherwise waits up to 5 ms for its turn while the loop is busy.
    sys.setswitchinterval(0.0005)
    # glibc gives each thread a heap of its own, and keeps it: twenty megabytes after a thousand turns.
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def make_app(state: AppState) -> Application:
    """The application on ready state, for tests and for embedding in another Tornado process."""
    app = Application(state, [route.to_spec() for route in ROUTES], UnknownPathHandler, route_names(), describe)
    Notices(app)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run the gateway until it is told to stop. Returns the exit code: 0, or 2 with one line on standard error."""
    tune_process()
    try:
        options = _parse(argv)
        _run(_run_until_signal(options), is_small=options.is_small)
    except (StarpodError, OSError) as error:
        print(f"starpod: {_reason(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _run(work: Coroutine[Any, Any, None], *, is_small: bool) -> None:
    """On uvloop where it is installed, which answers faster and takes 2 MB more."""
    if not is_small:
        with contextlib.suppress(ImportError):
            import uvloop

            return uvloop.run(work)
    return asyncio.run(work)


class Server:
    """A listening gateway. `start` returns once it answers; `stop` once everything is stored and closed."""

    def __init__(self, state: AppState, *, host: str, port: int) -> None:
        self.state = state
        self.app = make_app(state)
        self._host = host
        self._port = port
        self._http = tornado.httpserver.HTTPServer(
            self.app, max_body_size=MAX_BODY, max_header_size=MAX_HEADER, idle_connection_timeout=120.0
        )
        self._sockets: list[socket.socket] = []
        self._pulse: tornado.ioloop.PeriodicCallback | None = None
        self._last_pulse = 0.0
        self._supervisor = Supervisor(os.environ)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """An address under which this machine reaches the gateway."""
        host = "localhost" if _is_unspecified(self._host) else self._host
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def bind(self) -> None:
        """Take the port, so that nothing else is done when it cannot be had; nobody is answered yet. InvalidInput with the cure."""
        try:
            self._sockets = tornado.netutil.bind_sockets(self._port, self._host, reuse_port=False)
        except OSError as error:
            raise InvalidInput(
                f"{self._host}:{self._port} cannot be listened on: {os.strerror(error.errno) if error.errno else error}. "
                "Stop what uses it, or choose another with --port."
            ) from error
        self._port = self._sockets[0].getsockname()[1]

    async def start(self) -> None:
        """Answer. InvalidInput when the address cannot be had or may not be used yet."""
        if not self._sockets:
            self.bind()
        if not is_loopback(self._host) and not await self.state.auth.has_users():
            raise InvalidInput(
                f"Nobody could sign in yet, so {self._host} is not served: everybody who reaches it would be admin. "
                "Start once on 127.0.0.1, then use this address."
            )
        logging.getLogger().addHandler(self.state.agent.telemetry.recent)
        self.state.bind_host = self._host
        self.state.lock.announce(self.url)
        self._http.add_sockets(self._sockets)
        self._last_pulse = asyncio.get_running_loop().time()
        self._pulse = tornado.ioloop.PeriodicCallback(self._beat, PULSE_MS)
        self._pulse.start()
        self.state.begin()
        await self._start_tracing()
        self._supervisor.ready(f"listening on {self.url}")

    async def stop(self) -> None:
        """Stop listening, tell the sockets, let turns finish for the grace time, close the state in reverse."""
        self.state.is_stopping = True
        self._supervisor.stopping()
        self._http.stop()
        if self._pulse is not None:
            self._pulse.stop()
        self.app.close_sockets(1001, "the gateway is stopping")
        await self.state.close()
        await self._http.close_all_connections()
        logging.getLogger().removeHandler(self.state.agent.telemetry.recent)
        if (tracer := self.state.agent.telemetry.tracer) is not None:
            await asyncio.to_thread(tracer.close)

    async def _start_tracing(self) -> None:
        settings, environ = self.state.config.telemetry, self.state.watcher.current.environ
        address = traces_address(settings.otlp_endpoint, environ)
        if address is not None:
            name = environ.get("OTEL_SERVICE_NAME", "").strip() or settings.service_name
            self.state.agent.telemetry.tracer = await asyncio.to_thread(open_tracer, address, name, __version__)

    async def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        self.state.loop_delay_s = max(0.0, now - self._last_pulse - PULSE_MS / 1000)
        self.state.agent.telemetry.metrics.loop_delay(self.state.loop_delay_s)
        self._supervisor.alive()
        await self.state.pulse()
        self._last_pulse = asyncio.get_running_loop().time()


async def serve_with_agent(
    agent: Agent | None,
    config: LoadedConfig,
    notifier: Notifier | None = None,
    *,
    paths: Paths,
    auth: Auth | None = None,
    host: str | None = None,
    port: int | None = None,
    own_logging: bool = False,
) -> None:
    """Run the gateway until SIGTERM or SIGINT, with a caller's agent and, if given, its ready auth store; both share the agent's database.

    Without an agent one is made. `notifier` hears how each run of a job ended (see `starpod.cron.notifier`), beside the open sockets.
    With `own_logging` an edited logging.yaml comes into force. Raises InvalidInput or Unavailable, with what to do, when it cannot start.
    """
    default_host, default_port = split_address(config.config.server_addr)
    state = await open_state(paths, config, agent=agent, auth=auth)
    if notifier is not None:
        state.notify(notifier)
    server = Server(state, host=host or default_host, port=port if port is not None else default_port)
    try:
        server.bind()
        bootstrap = await state.auth.bootstrap(config.environ)
        stop = _listen_for_signals(state)
        await server.start()
        if own_logging:
            await state.watcher.add_file("logging.yaml", lambda path: asyncio.to_thread(apply_logging, path))
        await _announce(server, bootstrap)
    except BaseException:
        await state.close()
        raise
    gc.collect()
    gc.freeze()
    # Thousands of live tasks would otherwise set off full collections in the middle of a broadcast.
    gc.set_threshold(50_000, 20, 50)
    await stop.wait()
    logger.info("stopping; running turns have %s s to finish", state.config.shutdown_grace_s)
    await server.stop()


async def _run_until_signal(options: Options) -> None:
    paths, loaded = await asyncio.to_thread(prepare, options.folder, os.environ)
    apply_logging(paths.config_dir / "logging.yaml")
    for warning in loaded.warnings:
        logger.warning("%s", warning)
    await serve_with_agent(None, loaded, paths=paths, host=options.host, port=options.port, own_logging=True)


def prepare(folder: Path, environ: Mapping[str, str]) -> tuple[Paths, LoadedConfig]:
    """Find the agent of a folder, or make a new one there, and load its configuration. Raises InvalidInput with the cure."""
    root = find_root(folder)
    if root is not None:
        paths = resolve_paths(root)
        complete_agent(paths)
    elif folder.is_dir():
        paths = create_agent(folder.absolute(), environ, SystemClock())
    else:
        raise InvalidInput(f"{folder} is not a folder. Make it first, or choose another with --dir.")
    return paths, load_config(paths, environ)


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


async def _announce(server: Server, bootstrap: Bootstrap | None) -> None:
    auth = server.state.auth
    lines = [f"Starpod is listening on {server.url}"]
    owner = bootstrap.user if bootstrap is not None else await _first_admin(auth)
    # Later starts often have a log for a terminal; a link that signs in does not belong there.
    if owner is not None and (bootstrap is not None or sys.stdout.isatty()):
        code = await auth.create_sign_in_code(owner.id)
        lines.append(f"Sign in (this link works once, within 10 minutes): {server.url}/#code={code}")
    if bootstrap is None:
        lines.append("Sign in with your key. Lost it? `starpod keys create` makes another.")
    elif bootstrap.imported:
        lines.append("The admin key is the one in STARPOD_API_KEY.")
    else:
        lines.append(f"Admin key for scripts, shown only now: {bootstrap.clear_key}")
    lines.append(f"Model: {server.state.config.models[0]}")
    print("\n".join(lines), flush=True)


async def _first_admin(auth: Auth) -> User | None:
    return next((user for user in await auth.list_users() if user.role == "admin" and user.is_active), None)


def _listen_for_signals(state: AppState) -> asyncio.Event:
    """The event is set by the first SIGTERM or SIGINT; a second one ends the process at once. SIGHUP reads the settings again."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        stop.set()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, end)
    loop.add_signal_handler(signal.SIGHUP, lambda: state.tasks.spawn(state.watcher.reload(), name="reload"))
    return stop


def _parse(argv: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m starpod.server", description="Run the Starpod gateway.")
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="folder of the agent (default: the current one)")
    parser.add_argument("--host", help="address to listen on (default: server_addr of agent.toml)")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one (default: server_addr)")
    parser.add_argument("--small", action="store_true", help="take less memory and answer a little slower")
    arguments = parser.parse_args(argv)
    if arguments.port is not None and not 0 <= arguments.port <= 65535:
        parser.error(f"--port must be from 0 to 65535, not {arguments.port}")
    return Options(arguments.dir, arguments.host, arguments.port, arguments.small)


def _reason(error: StarpodError | OSError) -> str:
    if isinstance(error, OSError):
        name = Path(error.filename).name if isinstance(error.filename, str) else "a file"
        return f"{name}: {os.strerror(error.errno) if error.errno else 'input/output error'}"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
