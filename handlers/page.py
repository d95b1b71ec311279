"""The page at `/` and its files. Nothing on it runs that did not come from here."""

from __future__ import annotations

import asyncio
import mimetypes
from functools import cache

from handlers.base import BaseHandler, Refused
from starpod.errors import NotFound
from starpod.paths import shipped

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
NO_PAGE = b"Web UI not found. Install starpod again, or use the HTTP API."


@cache
def _read(name: str) -> bytes | None:
    try:
        return (shipped("static") / name).read_bytes()
    except (NotFound, OSError):
        return None


class PageHandler(BaseHandler):
    """`GET /`."""

    async def get(self) -> None:
        page = await asyncio.to_thread(_read, "index.html")
        self.set_header("Content-Security-Policy", PAGE_POLICY)
        self.set_header("Cache-Control", "no-cache")
        if page is None:
            self.set_status(404)
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            return await self.finish(NO_PAGE)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        await self.finish(page)


class AssetHandler(BaseHandler):
    """`GET /assets/:name`: a script, a style, a picture."""

    async def get(self, name: str) -> None:
        data = await asyncio.to_thread(_read, f"assets/{name}")
        if data is None:
            raise Refused(404, f"There is nothing at {self.request.path[:200]}")
        self.set_header("Content-Type", mimetypes.guess_type(name)[0] or "application/octet-stream")
        self.set_header("Cache-Control", "no-cache")
        await self.finish(data)
