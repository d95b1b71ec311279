"""All MCP servers of the configuration: started when somebody first needs one, restarted when their own section changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from starpod.clock import Clock
from starpod.config.mcp import REFERENCE, McpServerConfig, references
from starpod.config.schema import Config
from starpod.tasks import TaskSet
from starpod.tools.mcp.connection import Connection
from starpod.tools.mcp.types import Launch, ServerStatus, ServerTrouble

logger = logging.getLogger(__name__)

START_WAIT_S = 2.0
"""How long after its start a turn waits for a server at most. One that hangs delays nobody after that."""
CLOSE_S = 8.0
Secrets = Callable[[], Mapping[str, str]]


class McpServers:
    """`secrets` are the values that `${NAME}` stands for; another mapping means that some changed.

    Every method runs on the event loop and returns at once, unless it says so.
    """

    def __init__(self, config: Callable[[], Config], secrets: Secrets, home: Path, clock: Clock) -> None:
        self._config = config
        self._secrets = secrets
        self._seen = secrets()
        self._home = home
        self._clock = clock
        self._tasks = TaskSet("mcp")
        self._running: dict[str, tuple[Connection, asyncio.Task[None] | None]] = {}
        self._started_at: dict[str, float] = {}
        self._is_closed = False
        self._is_wanted = False
        self._applying = asyncio.Lock()

    def start(self) -> None:
        """Have every server connected, in the background. Does nothing when that is so."""
        if self._is_wanted or self._is_closed or not self._config().mcp.servers:
            return
        self._is_wanted = True
        self._open_missing()

    def pulse(self) -> None:
        """Notice that secrets changed."""
        if self._is_wanted and not self._is_closed and self._secrets() is not self._seen:
            self._seen = self._secrets()
            self._tasks.spawn(self.apply(), name="apply")

    async def apply(self) -> None:
        """Bring the servers in line with the configuration and the secrets: only those that changed are closed and started again."""
        async with self._applying:
            if not self._is_wanted or self._is_closed:
                return self.start()
            wanted = self._config().mcp.servers
            stale = [
                name
                for name, (connection, _) in self._running.items()
                if name not in wanted or wanted[name] != connection.config or self._has_other_secrets(connection)
            ]
            await asyncio.gather(*(self._stop(name) for name in stale))
            self._open_missing()

    def status(self) -> list[ServerStatus]:
        """Every configured server, by name."""
        servers = self._config().mcp.servers
        found = []
        for name in sorted(servers):
            known = self._running.get(name)
            connection = known[0] if known else Connection(name, servers[name], self._launch, self._clock)
            found.append(connection.status())
        return found

    def connections(self, *, is_admin: bool) -> list[Connection]:
        """The servers that a turn may use, by name."""
        return [
            connection
            for _, (connection, _) in sorted(self._running.items())
            if connection.config.enabled and (is_admin or not connection.config.admins_only)
        ]

    async def wait_until_settled(self, *, is_admin: bool) -> None:
        """Wait for servers that were started a moment ago, at most until `START_WAIT_S` after their start."""
        self.start()
        waiting = [each for each in self.connections(is_admin=is_admin) if not each.settled.is_set()]
        ends = [self._started_at[each.name] + START_WAIT_S for each in waiting]
        left_s = max(ends, default=0.0) - self._clock.monotonic()
        if left_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    for connection in waiting:
                        await connection.settled.wait()

    async def close(self) -> None:
        """Close every connection; the processes are gone when it returns."""
        self._is_closed = True
        await self._tasks.close(timeout_s=CLOSE_S)
        self._running.clear()

    def _open_missing(self) -> None:
        for name, config in self._config().mcp.servers.items():
            if name not in self._running and not self._is_closed:
                connection = Connection(name, config, self._launch, self._clock)
                task = self._tasks.spawn(connection.run(), name=name) if config.enabled else None
                self._running[name] = (connection, task)
                self._started_at[name] = self._clock.monotonic()

    async def _stop(self, name: str) -> None:
        _, task = self._running.pop(name)
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSE_S)

    def _has_other_secrets(self, connection: Connection) -> bool:
        """Whether a variable that the server was given, or lacked, has another value by now."""
        if not connection.config.enabled:
            return False
        try:
            return self._launch(connection.name, connection.config) != connection.launch
        except ServerTrouble:
            return connection.launch is not None

    def _launch(self, name: str, config: McpServerConfig) -> Launch:
        """The server with its references filled in. ServerTrouble names those that are not set."""
        found = self._secrets()
        named = {each for text in (*config.env.values(), *config.headers.values()) for each in references(text)}
        if missing := [each for each in sorted(named) if not found.get(each)]:
            raise ServerTrouble(f"{', '.join(missing)} is not set: put it into the vault or into .env")

        def fill(text: str) -> str:
            return REFERENCE.sub(lambda match: found[match[1]], text)

        return Launch(
            name,
            config,
            {key: fill(text) for key, text in config.env.items()},
            {key: fill(text) for key, text in config.headers.items()},
            self._home / (config.cwd or "."),
        )
