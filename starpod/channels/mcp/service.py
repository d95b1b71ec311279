"""An MCP server over the library's own session manager, which speaks the protocol's HTTP as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from starpod.agent.service import Agent
from starpod.errors import Unavailable
from starpod.imports import import_in_thread
from starpod.sessions.service import Sessions
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet
from starpod.tools.registry import run_tool, schema_of
from starpod.tools.types import ToolFailure, ToolSpec
from starpod.version import __version__

if TYPE_CHECKING:
    import mcp_types
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from starpod.channels.mcp.tools import McpTools

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

logger = logging.getLogger(__name__)

VIEWER = "starpod.viewer"
SESSION_ID = b"mcp-session-id"
MOST_SESSIONS = 5000
MOST_OF_A_PERSON = 100
"""Many clients never end theirs, and nobody may take the room of all others."""
IDLE_S = 15 * 60.0
MISSING = "This gateway cannot serve MCP: install its extra (pip install 'starpod[mcp]') and start it again"
INSTRUCTIONS = """\
A personal AI agent: what it remembers, its conversations, its scheduled jobs, and the agent itself (ask_agent), which has tools of its \
own. Everything is that of the person whose key is used."""


class McpChannel:
    """One for the gateway. Starts with the first request."""

    def __init__(self, agent: Agent, sessions: Sessions) -> None:
        self._agent = agent
        self._sessions = sessions
        self._tasks = TaskSet("mcp-server")
        self._starting = asyncio.Lock()
        self._closing = asyncio.Event()
        self._manager: StreamableHTTPSessionManager | None = None
        self._opened: dict[str | None, OrderedDict[bytes, None]] = {}

    async def answer(self, viewer: Viewer, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request of an ASGI server. Raises Unavailable where the library is not installed."""
        manager = self._manager or await self._start()
        scope["user"] = _principal(viewer)
        scope[VIEWER] = viewer
        opened = self._opened.setdefault(viewer.user_id, OrderedDict())
        given = dict(scope["headers"]).get(SESSION_ID)
        if given is not None and given in opened:
            opened.move_to_end(given)

        async def note(message: Message) -> None:
            if given is None and message["type"] == "http.response.start":
                new = dict(message.get("headers", ())).get(SESSION_ID)
                if new is not None:
                    opened[new] = None
            await send(message)

        await manager.handle_request(scope, receive, note)
        while len(opened) > MOST_OF_A_PERSON:
            oldest, _ = opened.popitem(last=False)
            await self._end(manager, scope, oldest)

    async def close(self) -> None:
        """End every session."""
        self._closing.set()
        await self._tasks.close()

    async def _end(self, manager: StreamableHTTPSessionManager, scope: Scope, session_id: bytes) -> None:
        """End a session as its client would; one that has ended by itself is not found."""

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                logger.info("the oldest of too many MCP sessions of a person was ended (%s)", message["status"])

        headers = [(b"host", dict(scope["headers"]).get(b"host", b"")), (SESSION_ID, session_id)]
        await manager.handle_request({**scope, "method": "DELETE", "headers": headers}, receive, send)

    async def _start(self) -> StreamableHTTPSessionManager:
        async with self._starting:
            if self._manager is None:
                try:
                    manager = await import_in_thread(_build, self._agent, self._sessions)
                except ImportError as error:
                    raise Unavailable(MISSING) from error
                ready = asyncio.Event()
                self._tasks.spawn(self._serve(manager, ready), name="mcp-server")
                await ready.wait()
                self._manager = manager
            return self._manager

    async def _serve(self, manager: StreamableHTTPSessionManager, ready: asyncio.Event) -> None:
        async with manager.run():
            ready.set()
            await self._closing.wait()


def _build(agent: Agent, sessions: Sessions) -> StreamableHTTPSessionManager:
    """Imports the library and the tools: not for the event loop."""
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from starpod.channels.mcp.tools import McpTools

    return StreamableHTTPSessionManager(
        _server(McpTools(agent, sessions)), max_sessions=MOST_SESSIONS, session_idle_timeout=IDLE_S
    )


def _server(tools: McpTools) -> Server[Any]:
    import mcp_types
    from mcp.server.lowlevel import Server
    from mcp.shared.exceptions import MCPError

    offered = [_described(spec) for spec in tools.by_name.values()]

    async def list_tools(
        context: ServerRequestContext[Any, Any], params: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=offered)

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        spec = tools.by_name.get(params.name)
        if spec is None:
            names = ", ".join(tools.by_name)
            raise MCPError(mcp_types.INVALID_PARAMS, f"There is no tool {params.name[:100]!r}, only {names}")
        assert context.request is not None
        viewer: Viewer = context.request.scope[VIEWER]
        failed = False
        try:
            text = str(await run_tool(spec, tools.context(viewer), dict(params.arguments or {})))
        except ToolFailure as error:
            text, failed = str(error), True
        return mcp_types.CallToolResult(content=[mcp_types.TextContent(type="text", text=text)], is_error=failed)

    return Server(
        "starpod",
        title="Starpod",
        version=__version__,
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _described(spec: ToolSpec) -> mcp_types.Tool:
    import mcp_types

    from starpod.channels.mcp.tools import CHANGING

    return mcp_types.Tool(
        name=spec.name,
        description=spec.description,
        input_schema=schema_of(spec),
        annotations=mcp_types.ToolAnnotations(read_only_hint=spec.name not in CHANGING),
    )


def _principal(viewer: Viewer) -> Any:
    """Binds a session to the person who began it: for anybody else it does not exist."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    return AuthenticatedUser(AccessToken(token="", client_id=viewer.user_id or "", scopes=[]))
