"""Files that were built before: read once a version, sent compressed as they were at build time. It does not know which files there are."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from handlers.base import BaseHandler
from starpod.errors import NotFound
from starpod.paths import shipped

TYPES = {
    ".webmanifest": "application/manifest+json",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".map": "application/json",
}
ENCODINGS = (("br", ".br"), ("gzip", ".gz"))


@dataclass(frozen=True, slots=True)
class Asset:
    """A built file with what was compressed at build time, by the name of the encoding; `digest` tells versions apart."""

    data: bytes
    encoded: dict[str, bytes]
    digest: str


def find_asset(folder: str, name: str) -> Asset | None:
    """The file `name` of the shipped folder `static` or `docs`; None when there is none, or it lies outside of the folder.

    Reads the disk: not for the event loop.
    """
    if name.endswith(tuple(suffix for _, suffix in ENCODINGS)):
        return None
    try:
        root = shipped(folder).resolve()
        path = (root / name).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            return None
        return _read(path, path.stat().st_mtime_ns)
    except (NotFound, OSError, ValueError):
        return None


@lru_cache(maxsize=256)
def _read(path: Path, _changed_ns: int) -> Asset:
    """A new build is seen by its time."""
    encoded = {}
    for encoding, suffix in ENCODINGS:
        beside = path.with_name(path.name + suffix)
        if beside.is_file():
            encoded[encoding] = beside.read_bytes()
    data = path.read_bytes()
    return Asset(data, encoded, digest_of(data))


def digest_of(data: bytes) -> str:
    """What tells this content from any other."""
    return hashlib.sha256(data).hexdigest()[:20]


class BuiltFileHandler(BaseHandler):
    """Sends assets. What is sent and how long it may be kept, the handlers of the routes say."""

    async def send_asset(self, asset: Asset, name: str) -> None:
        """Answer with a file, as 304 when the client has it."""
        kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.set_header("Content-Type", f"{kind}; charset=UTF-8" if kind.startswith("text/") else kind)
        self.set_header("Vary", "Accept-Encoding")
        accepted = {part.split(";")[0].strip() for part in self.request.headers.get("Accept-Encoding", "").split(",")}
        for encoding, data in asset.encoded.items():
            if encoding in accepted:
                self.set_header("Content-Encoding", encoding)
                return await self._send(data, f"{asset.digest}-{encoding}")
        await self._send(asset.data, f"{asset.digest}-plain")

    async def _send(self, data: bytes, tag: str) -> None:
        self.set_header("ETag", f'"{tag}"')
        if self.check_etag_header():
            self.set_status(304)
            return await self.finish()
        await self.finish(data)
