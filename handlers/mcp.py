"""How the MCP servers are doing, for admins."""

from __future__ import annotations

from handlers.base import BaseHandler


class McpHandler(BaseHandler):
    """`GET /api/settings/mcp`: every configured server. Looking has them started."""

    def get(self) -> None:
        servers = self.state.agent.mcp
        servers.start()
        self.send_json({"servers": servers.status()})
