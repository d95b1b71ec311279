"""The documentation below `/docs`, as it was built."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from functools import lru_cache

from handlers.assets import Asset, BuiltFileHandler, digest_of, find_asset
from handlers.instance_proxy import PREFIX_HEADER
from handlers.page import PREFIX

POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)
INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
SCRIPTS_BASE = re.compile(rb'"base": "[./]*"')
MISSING = b"Not found"
NOT_BUILT = b"The documentation was not built: run `make docs`, or install starpod again."


class DocsHandler(BuiltFileHandler):
    """`GET /docs/:path`: that file, else `<path>.html`, else `<path>/index.html`, else `404.html` with status 404."""

    async def get(self, path: str | None = None) -> None:
        found = await asyncio.to_thread(_find, (path or "").strip("/"))
        if found is None:
            return await self._send_missing()
        asset, name = found
        self.set_header("Cache-Control", "no-cache")
        if not name.endswith(".html"):
            return await self.send_asset(asset, name)
        await self._send_page(asset, name)

    async def _send_page(self, asset: Asset, name: str) -> None:
        self.set_header("Content-Security-Policy", POLICY.format(scripts=_hashes(asset.data)))
        prefix = self.request.headers.get(PREFIX_HEADER, "")
        prefix = prefix if PREFIX.fullmatch(prefix) else ""
        # Its links are relative; the address that was asked for need not be where the file lies, as with `/docs` itself.
        base = f'<head><base href="{prefix}/docs/{name}">'.encode()
        page = asset.data.replace(b"<head>", base, 1)
        page = SCRIPTS_BASE.sub(f'"base": "{prefix}/docs/"'.encode(), page, count=1)
        await self.send_asset(Asset(page, {}, digest_of(page)), name)

    async def _send_missing(self) -> None:
        self.set_status(404)
        page = await asyncio.to_thread(find_asset, "docs", "404.html")
        self.set_header("Content-Type", "text/html; charset=UTF-8" if page else "text/plain; charset=UTF-8")
        if page is None:
            is_built = await asyncio.to_thread(find_asset, "docs", "index.html") is not None
            return await self.finish(MISSING if is_built else NOT_BUILT)
        self.set_header("Content-Security-Policy", POLICY.format(scripts=_hashes(page.data)))
        await self.finish(page.data)


def _find(path: str) -> tuple[Asset, str] | None:
    for name in (path, f"{path}.html", f"{path}/index.html") if path else ("index.html",):
        if (asset := find_asset("docs", name)) is not None:
            return asset, name
    return None


@lru_cache(maxsize=256)
def _hashes(page: bytes) -> str:
    """The page's own inline scripts, as sources of a policy: nothing else that stands in it runs."""
    digests = (hashlib.sha256(script).digest() for script in INLINE_SCRIPT.findall(page))
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
