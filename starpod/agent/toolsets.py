"""The tools that a turn may use, made once for each configuration and role."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from starpod.agent.turn import Turn
from starpod.config.schema import Config
from starpod.imports import import_in_thread
from starpod.tools.mcp.servers import McpServers
from starpod.tools.registry import toolset
from starpod.tools.services import ToolServices
from starpod.tools.types import ToolContext

if TYPE_CHECKING:
    from pydantic_ai.toolsets import AbstractToolset


class Toolsets:
    """Our own tools, and those of the MCP servers beside them."""

    def __init__(self, services: ToolServices, servers: McpServers) -> None:
        self._services = services
        self._servers = servers
        self._is_loaded = False
        self._made: tuple[Config | None, dict[bool, AbstractToolset[ToolContext]]] = (None, {})

    async def load(self) -> None:
        """Import the tools, in a thread. Returns at once when that has been done; `of` comes after it."""
        if not self._is_loaded:
            await import_in_thread(importlib.import_module, "starpod.tools.families")
            self._is_loaded = True

    def of(self, turn: Turn) -> AbstractToolset[ToolContext]:
        """What the turn's configuration offers to its user's role."""
        known_config, made = self._made
        if known_config is not turn.config:
            made = {}
            self._made = (turn.config, made)
        is_admin = turn.request.is_admin
        if is_admin not in made:
            made[is_admin] = self._make(turn.config, is_admin=is_admin)
        return made[is_admin]

    def _make(self, config: Config, *, is_admin: bool) -> AbstractToolset[ToolContext]:
        from starpod.tools.families import families

        own = toolset(*families(config, self._services, is_admin=is_admin))
        if not config.mcp.servers:
            return own
        from starpod.tools.mcp.toolset import beside  # not held by gateways without a server

        return beside(own, self._servers)
