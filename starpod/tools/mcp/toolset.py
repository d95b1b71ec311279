"""The tools of MCP servers as pydantic-ai takes them. Imported only when a server is configured."""

from __future__ import annotations

from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import ToolFailed
from pydantic_ai.toolsets import AbstractToolset, CombinedToolset
from pydantic_ai.toolsets.abstract import ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from starpod.tools.mcp.servers import McpServers
from starpod.tools.types import ToolContext

_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))


class McpTools(AbstractToolset[ToolContext]):
    """What is connected when a turn begins. The servers check the arguments of their tools themselves."""

    def __init__(self, servers: McpServers) -> None:
        self._servers = servers

    @property
    def id(self) -> str | None:
        """Its name among the toolsets."""
        return "mcp"

    async def get_tools(self, ctx: RunContext[ToolContext]) -> dict[str, ToolsetTool[ToolContext]]:
        """The tools of the servers that the turn's user may use. Never fails and never waits long."""
        is_admin = ctx.deps.role == "admin"
        await self._servers.wait_until_settled(is_admin=is_admin)
        connections = self._servers.connections(is_admin=is_admin)
        for connection in connections:
            connection.freshen()
        return {
            name: ToolsetTool(toolset=self, tool_def=tool.definition, max_retries=1, args_validator=_OBJECT)
            for connection in connections
            for name, tool in connection.tools.items()
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[ToolContext], tool: ToolsetTool[ToolContext]
    ) -> Any:
        """Raises ToolFailed, also when the server went away since the turn began."""
        for connection in self._servers.connections(is_admin=ctx.deps.role == "admin"):
            offered = connection.tools.get(name)
            if offered is not None:
                return await connection.call(offered.remote_name, tool_args)
        raise ToolFailed(f"{name} cannot be used now: its MCP server is not connected. It is being started again.")


def beside(own: AbstractToolset[ToolContext], servers: McpServers) -> AbstractToolset[ToolContext]:
    """`own` and the tools of all servers, as they are at each turn."""
    return CombinedToolset([own, McpTools(servers)])
