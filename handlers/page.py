"""The page and its files.

The first HTML carries a boot block, so that the first paint is the real shell. Nothing runs that did not come from here.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from typing import Any

from pydantic_core import to_json

from handlers.answers import PublicConfig
from handlers.assets import BuiltFileHandler, find_asset
from handlers.auth import describe
from handlers.base import BaseHandler, Refused
from handlers.instance_proxy import PREFIX_HEADER
from starpod.clock import format_time
from starpod.errors import Unavailable
from starpod.sessions.types import SessionQuery, Viewer
from starpod.version import __version__

PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; media-src 'self' blob:; frame-src 'self' blob:; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
# A worker's own policy rules what it may fetch.
WORKER_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'"
NO_PAGE = b"Web UI not found. Build it with `make ui` (or install starpod again); the HTTP API works without it."
FOREVER = "public, max-age=31536000, immutable"
NEWEST_SESSIONS = 40
PREFIX = re.compile(r"/i/[\w-]{1,200}")
# Before the first paint: the theme that was chosen, or the system's, so that nothing flashes.
THEME = "try{let t=localStorage.getItem('starpod.theme');if(t=='light'||t=='dark')document.documentElement.dataset.theme=t}catch{}"
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return "".join(UNSAFE.get(character, character) for character in to_json(value, inf_nan_mode="null").decode())


class PageHandler(BaseHandler):
    """`GET /` and every page below it: the same HTML, which finds out by its address what to show."""

    async def get(self) -> None:
        page = await asyncio.to_thread(find_asset, "static", "index.html")
        if page is None:
            self.set_status(404)
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            return await self.finish(NO_PAGE)
        nonce = secrets.token_urlsafe(16)
        prefix = self.request.headers.get(PREFIX_HEADER, "")
        base = f"{prefix if PREFIX.fullmatch(prefix) else ''}/"
        boot = script_json(await self._boot(base))
        scripts = f'<script nonce="{nonce}">{THEME};window.__STARPOD__={boot}</script>'
        html = (
            page.data.decode()
            .replace("<head>", f'<head><base href="{base}">', 1)
            .replace("</head>", f"{scripts}</head>", 1)
        )
        self.set_header("Content-Security-Policy", PAGE_POLICY.format(nonce=nonce))
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        await self.finish(html)

    async def _boot(self, base: str) -> dict[str, Any]:
        signed_in = True
        try:
            self.user = await self.identify()
        except (Refused, Unavailable):
            signed_in = False
        body: dict[str, Any] = {
            **await public_config(self),
            "base": base,
            "version": __version__,
            "now": format_time(self.state.clock.now()),
            "auth": {
                "authenticated": signed_in,
                "auth_disabled": signed_in and self.user is None,
                "user": describe(self.user) if self.user is not None else None,
            },
            "sessions": [],
        }
        if signed_in:
            viewer = self.viewer if self.user is not None else Viewer(None, True)
            body["sessions"] = await self.state.sessions.list_recent(viewer, SessionQuery(limit=NEWEST_SESSIONS))
        return body


class AssetHandler(BuiltFileHandler):
    """`GET /assets/:name` (names carry a hash, so they are kept for good) and the few files with fixed names."""

    async def get(self, name: str) -> None:
        is_hashed = self.request.path.startswith("/assets/")
        asset = await asyncio.to_thread(find_asset, "static", f"assets/{name}" if is_hashed else name)
        if asset is None:
            raise Refused(404, f"There is nothing at {self.request.path[:200]}")
        self.set_header("Cache-Control", FOREVER if is_hashed else "no-cache")
        if name == "sw.js":
            self.set_header("Content-Security-Policy", WORKER_POLICY)
        await self.send_asset(asset, name)


async def public_config(handler: BaseHandler) -> PublicConfig:
    """What the page shows before anybody has signed in."""
    config = handler.state.config
    frontend = await handler.state.frontend()
    return {
        "greeting": frontend.greeting,
        "prompts": frontend.prompts,
        "models": config.models,
        "agent_name": config.agent_name,
        "oauth_proxy_url": os.environ.get("OAUTH_PROXY_URL") or os.environ.get("STARPOD_URL") or "",
        "attachments": {
            "enabled": config.attachments.enabled,
            "max_file_size": config.attachments.max_file_size,
            "allowed_extensions": config.attachments.allowed_extensions,
        },
    }
