"""The descriptions of the API, each made once, when it is first asked for."""

from __future__ import annotations

import asyncio
from functools import cache

from pydantic_core import to_json

from handlers import asyncapi
from handlers.base import BaseHandler


@cache
def _asyncapi() -> bytes:
    return to_json(asyncapi.describe())


class OpenApiHandler(BaseHandler):
    """`GET /api/openapi.json`."""

    async def get(self) -> None:
        self.send_json(await asyncio.to_thread(self.application.describe))


class AsyncApiHandler(BaseHandler):
    """`GET /api/asyncapi.json`."""

    async def get(self) -> None:
        self.send_json(await asyncio.to_thread(_asyncapi))
