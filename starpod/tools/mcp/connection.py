"""One server: connected in the background, kept, watched, connected again with growing pauses when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from starpod.clock import Clock
from starpod.config.mcp import McpServerConfig
from starpod.imports import import_in_thread
from starpod.tasks import TaskSet
from starpod.tools.mcp.names import offered_tools
from starpod.tools.mcp.results import bounded, complaint
from starpod.tools.mcp.trouble import explain
from starpod.tools.mcp.types import Launch, ServerState, ServerStatus, ServerTrouble

if TYPE_CHECKING:
    from pydantic_ai.mcp import MCPToolset

    from starpod.tools.mcp.names import OfferedTool
    from starpod.tools.mcp.transport import StdioPipes

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0
"""A connection that held this long was a good one: the pauses begin anew."""
CHECK_TIMEOUT_S = 10.0
FRESH_S = 60.0
"""How old the list of tools may be when a turn begins; not every server tells that its tools changed, or that it is gone."""
DRAIN_S = 2.0
CLOSE_S = 5.0


class Connection:
    """`run` keeps the server connected until it is cancelled; `call` uses it meanwhile. Lives on the event loop."""

    def __init__(
        self,
        name: str,
        config: McpServerConfig,
        resolve: Callable[[str, McpServerConfig], Launch],
        clock: Clock,
    ) -> None:
        self.name = name
        self.config = config
        self.tools: Mapping[str, OfferedTool] = {}
        self.launch: Launch | None = None
        self._resolve = resolve
        self._clock = clock
        self._calls = TaskSet(f"mcp.{name}")
        self._steps = TaskSet(f"mcp.{name}")
        self._toolset: MCPToolset[Any] | None = None
        self._pipes: StdioPipes | None = None
        self._state: ServerState = "waiting" if config.enabled else "off"
        self._since = clock.now()
        self._error: str | None = None
        self._notes: tuple[str, ...] = ()
        self._attempts = 0
        self._listed_at = 0.0
        self._news = asyncio.Event()
        self._is_lost = False
        self._http_status: int | None = None
        self.settled = asyncio.Event()
        """Set once the first attempt to connect has ended, well or not."""

    def status(self) -> ServerStatus:
        """How it is doing."""
        config = self.config
        return ServerStatus(
            name=self.name,
            transport="http" if config.url else "stdio",
            enabled=config.enabled,
            state=self._state,
            since=self._since,
            tools=tuple(self.tools),
            error=self._error,
            notes=self._notes,
            attempts=self._attempts,
            admins_only=config.admins_only,
            target=_shown_target(config),
            env=tuple(config.env),
            headers=tuple(config.headers),
        )

    async def run(self) -> None:
        """Connect, watch, and connect again, for ever."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._attempts += 1
            self._enter("starting")
            started = self._clock.monotonic()
            try:
                await self._serve()
                trouble = "it ended by itself"
            except Exception as error:
                trouble = self._without_secrets(explain(error, self.config, self._http_status))
            finally:
                self._forget()
            self._failed(trouble)
            if self._clock.monotonic() - started >= STEADY_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Call a tool by the server's own name for it. Raises ToolFailed with what went wrong; nothing else ends a call but its turn."""
        from pydantic_ai.exceptions import ModelRetry, ToolFailed

        toolset = self._toolset
        if toolset is None:
            raise ToolFailed(f"The MCP server {self.name} is not connected: {self._error or 'it is being started'}.")
        task = self._calls.spawn(_outcome(toolset.direct_call_tool(tool, arguments)), name=tool)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.config.timeout_s)
        finally:
            if not task.done():
                # The server is told, so that it stops working on it.
                task.cancel()
                await asyncio.wait({task}, timeout=DRAIN_S)
        if not done:
            self._suspect()
            raise ToolFailed(f"{tool} was stopped: it did not answer within {self.config.timeout_s} s.")
        if task.cancelled():
            raise ToolFailed(f"{tool} was cut off: the MCP server {self.name} is being restarted.")
        match task.result():
            case ToolFailed() as failure:
                raise ToolFailed(self._without_secrets(complaint(str(failure))))
            case ModelRetry() as refusal if "connection closed" not in str(refusal).lower():
                raise ToolFailed(self._without_secrets(complaint(str(refusal))))
            case Exception():
                self._suspect()
                raise ToolFailed(
                    f"{tool} failed: the MCP server {self.name} broke off while it was at work. It is being started again."
                )
            case result:
                return bounded(result)

    def freshen(self) -> None:
        """Have the tools listed again, in the background, when that was long ago."""
        if self._toolset is not None and self._clock.monotonic() - self._listed_at > FRESH_S:
            self._news.set()

    async def _serve(self) -> None:
        """Connect and return when the connection is lost; raises when it cannot be made."""
        self._is_lost = False
        self._http_status = None
        self._news.clear()
        self.launch = self._resolve(self.name, self.config)
        toolset = await self._build(self.launch)
        stack = contextlib.AsyncExitStack()
        try:
            await self._connect(stack, toolset)
            self._toolset = toolset
            self._error = None
            self._enter("connected")
            logger.info("the MCP server %s offers %d tools", self.name, len(self.tools))
            await self._watch(toolset)
        finally:
            self._toolset = None
            await self._calls.close(timeout_s=DRAIN_S)
            await self._hurried(stack.aclose(), CLOSE_S)

    async def _connect(self, stack: contextlib.AsyncExitStack, toolset: MCPToolset[Any]) -> None:
        """Open the session and ask for the tools. TimeoutError when the server is not ready in time."""

        async def connect() -> None:
            await stack.enter_async_context(toolset)
            await self._list(toolset)

        if not await self._hurried(connect(), self.config.start_timeout_s):
            raise TimeoutError

    async def _hurried(self, step: Coroutine[Any, Any, None], limit_s: float) -> bool:
        """Do `step`; after `limit_s`, or when this is cancelled, end the process, so that `step` ends by itself. Whether it ended in time.

        The library does not stand being cancelled while it connects: it then waits for ever.
        """
        task = self._steps.spawn(_outcome(step), name="step")
        done: set[asyncio.Task[Any]] = set()
        try:
            done, _ = await asyncio.wait({task}, timeout=limit_s)
        finally:
            if not task.done():
                if self._pipes is not None:
                    await self._pipes.gone()
                    await asyncio.wait({task}, timeout=DRAIN_S)
                if not task.done():
                    task.cancel()
                    await asyncio.wait({task}, timeout=DRAIN_S)
        if done and isinstance(error := task.result(), Exception):
            raise error
        return bool(done)

    async def _watch(self, toolset: MCPToolset[Any]) -> None:
        while not self._is_lost:
            await self._news.wait()
            self._news.clear()
            if not self._is_lost:
                async with asyncio.timeout(CHECK_TIMEOUT_S):
                    await self._list(toolset)

    async def _list(self, toolset: MCPToolset[Any]) -> None:
        # The tools carry a number of retries of their own, so the context is never looked at.
        listed = await toolset.get_tools(None)  # type: ignore[arg-type]
        self._listed_at = self._clock.monotonic()
        self.tools, self._notes = offered_tools(self.name, listed, self.config.tools)

    async def _build(self, launch: Launch) -> MCPToolset[Any]:
        """The client. The libraries are loaded in a thread; ServerTrouble when they are not installed."""
        try:
            transport, toolset_class = await import_in_thread(_libraries)
        except ImportError as error:
            raise ServerTrouble("MCP is not installed: pip install 'starpod[mcp]'") from error
        if launch.config.url is None:
            if launch.config.cwd is None:  # the agent's home, which other tools make as well when they need it
                await asyncio.to_thread(launch.cwd.mkdir, parents=True, exist_ok=True)
            elif not await asyncio.to_thread(launch.cwd.is_dir):
                raise ServerTrouble("the folder it should run in does not exist")
        self._pipes = transport.StdioPipes(launch, self._lost) if launch.config.url is None else None
        toolset: MCPToolset[Any] = toolset_class(
            self._pipes or transport.http_transport(launch, self._hear_status),
            id=f"mcp-{launch.name}",
            tool_error_behavior="failed",
            max_retries=1,
            cache_tools=False,
            init_timeout=launch.config.start_timeout_s,
            read_timeout=None,
            message_handler=self._hear,
        )
        return toolset

    async def _hear(self, message: Any) -> None:
        """Ask for the tools again when the server says that they changed."""
        root = getattr(message, "root", message)
        if getattr(root, "method", None) == "notifications/tools/list_changed":
            self._news.set()

    def _hear_status(self, status: int) -> None:
        self._http_status = status

    def _suspect(self) -> None:
        """Have the connection checked."""
        self._news.set()

    def _lost(self) -> None:
        self._is_lost = True
        self._news.set()

    def _enter(self, state: ServerState) -> None:
        self._state = state
        self._since = self._clock.now()
        if state == "connected":
            self.settled.set()

    def _forget(self) -> None:
        self._toolset = None
        self.tools = {}

    def _failed(self, trouble: str) -> None:
        said = self._without_secrets(self._pipes.last_line) if self._pipes is not None else ""
        if trouble != self._error:
            last = f"; its last words were: {said}" if said else ""
            logger.warning("the MCP server %s is left out: %s%s", self.name, trouble, last)
        self._error = trouble
        self._enter("failed")
        self.settled.set()

    def _without_secrets(self, text: str) -> str:
        """`text` without the values that were filled in for this server."""
        given = (*self.launch.env.values(), *self.launch.headers.values()) if self.launch is not None else ()
        for value in given:
            if len(value) >= 6:
                text = text.replace(value, "***")
        return text


async def _outcome(call: Coroutine[Any, Any, T]) -> T | Exception:
    """The result or the error of a call, so that a failed one is no failed task."""
    try:
        return await call
    except Exception as error:
        return error


def _libraries() -> tuple[Any, Any]:
    from pydantic_ai.mcp import MCPToolset

    from starpod.tools.mcp import transport

    # The library loads it on the first call, which would hold the loop for 30 ms.
    importlib.import_module("jsonschema")
    return transport, MCPToolset


def _shown_target(config: McpServerConfig) -> str:
    """Program or host: arguments, paths and queries may hold secrets."""
    if config.url is not None:
        from urllib.parse import urlsplit

        return f"{urlsplit(config.url).scheme}://{urlsplit(config.url).netloc.rpartition('@')[2]}"
    return (config.command or "").replace("\\", "/").rpartition("/")[2]
