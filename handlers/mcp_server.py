"""`/mcp`: the gateway as an MCP server, by streamable HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from handlers import asgi
from handlers.base import BaseHandler, Refused
from starpod.auth.origins import origin_allowed


class McpServerHandler(BaseHandler):
    """Messages by `POST`, the stream of a session by `GET`, its end by `DELETE`. Pages of other sites are refused unless listed."""

    async def prepare(self) -> None:
        await super().prepare()
        origin, allowed = self.request.headers.get("Origin"), self.state.config.auth.allowed_origins
        if not origin_allowed(origin, self.request.host, allowed):
            raise Refused(
                403, "Pages of this origin may not connect. Add it to allowed_origins under [auth] in agent.toml."
            )

    async def post(self) -> None:
        await asgi.answer(self, partial(self.state.mcp_server.answer, self.viewer))

    get = delete = post

    async def head(self, *args: str, **kwargs: str) -> None:
        raise Refused(405, "Method Not Allowed")

    def shaped_error(
        self, status: int, body: Mapping[str, Any], error: BaseException | None
    ) -> tuple[int, Mapping[str, Any]]:
        if status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        return status, body
