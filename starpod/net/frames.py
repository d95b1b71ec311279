"""Looks whether a page can be shown in a frame, and what to show instead when it cannot."""

from __future__ import annotations

import asyncio
import html
import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import urljoin

from starpod.clock import Clock
from starpod.errors import Upstream
from starpod.net import framing
from starpod.net.addresses import check_url
from starpod.net.framing import Origin
from starpod.net.guarded import Fetched, GuardedClient

TIMEOUT_S = 5.0
MAX_BYTES = 262_144
KEPT = 500
KEPT_SECS = 300.0
FAILURE_KEPT_SECS = 30.0
MAX_VALUE = 2_000
ATTRIBUTE = re.compile(r"""([a-zA-Z:]{1,40})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
CHARSET = re.compile(r"charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Frame:
    """`reason` is empty for a page that can be framed; image and title are looked for only in others."""

    frameable: bool
    reason: str = ""
    image: str = ""
    title: str = ""


class Frames:
    """Answers are kept for some minutes, the least used forgotten first."""

    def __init__(self, internet: GuardedClient, clock: Clock) -> None:
        self._internet = internet
        self._clock = clock
        self._kept: OrderedDict[tuple[str, Origin], tuple[float, Frame]] = OrderedDict()

    async def check(self, url: str, ours: Origin) -> Frame:
        """Whether a page at `url` would show in a frame of our origin. InvalidInput for what is no public http(s) URL, Forbidden
        for a private address; a page that does not answer cannot be framed."""
        check_url(url)
        key = (url, ours)
        expires_at, known = self._kept.get(key, (0.0, None))
        if known is not None and expires_at > self._clock.monotonic():
            self._kept.move_to_end(key)
            return known
        try:
            frame = await self._look(url, ours)
            lifetime = KEPT_SECS
        except Upstream as error:
            frame = Frame(frameable=False, reason=str(error))
            lifetime = FAILURE_KEPT_SECS
        self._kept[key] = (self._clock.monotonic() + lifetime, frame)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return frame

    async def _look(self, url: str, ours: Origin) -> Frame:
        def reason(head: Fetched) -> str:
            return framing.refusal(head.headers, Origin.of(head.url), ours)

        got = await self._internet.fetch(
            url,
            timeout_s=TIMEOUT_S,
            max_bytes=MAX_BYTES,
            headers={"Accept": "text/html,*/*;q=0.5"},
            body_if=lambda head: bool(reason(head)),
        )
        why = reason(got)
        if not why:
            return Frame(frameable=True)
        image, title = await asyncio.to_thread(shown_instead, got)
        return Frame(frameable=False, reason=why, image=image, title=title)


def shown_instead(got: Fetched) -> tuple[str, str]:
    """`og:image` (an absolute http(s) URL) and `og:title` of a page, each empty when it has none."""
    found: dict[str, str] = {}
    for tag in _meta_tags(_text(got)):
        attributes = {
            match[1].lower(): next(value for value in (match[2], match[3], match[4]) if value is not None)
            for match in ATTRIBUTE.finditer(tag)
        }
        name = (attributes.get("property") or attributes.get("name") or "").lower()
        if name in ("og:image", "og:title") and name not in found:
            found[name] = html.unescape(attributes.get("content", ""))[:MAX_VALUE].strip()
    image = found.get("og:image", "")
    try:
        image = urljoin(got.url, image) if image else ""
    except ValueError:
        image = ""
    return (image if image.startswith(("http://", "https://")) else ""), found.get("og:title", "")


def _meta_tags(page: str) -> list[str]:
    """The insides of all `<meta ...>` tags. Each character is looked at once, whatever the page holds."""
    tags = []
    lower = page.lower()
    start = lower.find("<meta")
    while start >= 0:
        end = lower.find(">", start)
        if end < 0:
            break
        tags.append(page[start + 5 : min(end, start + 4 * MAX_VALUE)])
        start = lower.find("<meta", end)
    return tags


def _text(got: Fetched) -> str:
    declared = CHARSET.search(got.header("content-type")) or CHARSET.search(got.body[:2000].decode("latin-1"))
    try:
        return got.body.decode(declared[1] if declared else "utf-8", "replace")
    except LookupError:
        return got.body.decode("utf-8", "replace")
