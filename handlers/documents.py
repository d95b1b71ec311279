"""The descriptions of the API, each made once, when it is first asked for."""

from __future__ import annotations

import asyncio
from functools import cache

from pydantic_core import to_json

from handlers import asyncapi, openapi
from handlers.base import BaseHandler


@cache
def _openapi() -> bytes:
    from handlers.routes import API  # the table names the handlers of this file

    return to_json(openapi.describe(API))


@cache
def _asyncapi() -> bytes:
    return to_json(asyncapi.describe())


class OpenApiHandler(BaseHandler):
    """`GET /api/openapi.json`."""

    async def get(self) -> None:
        self.send_json(await asyncio.to_thread(_openapi))


class AsyncApiHandler(BaseHandler):
    """`GET /api/asyncapi.json`."""

    async def get(self) -> None:
        self.send_json(await asyncio.to_thread(_asyncapi))
