"""WebFetch and WebSearch: the public internet, through the guarded client."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pydantic import Field

from starpod.config.schema import InternetConfig
from starpod.errors import StarpodError
from starpod.net.guarded import Fetched, GuardedClient
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

READER = Path(__file__).with_name("readable.py")
READING_SECS = 20.0
SEARCH_KEY = "BRAVE_API_KEY"
SEARCH_BYTES = 2_000_000
HTML = ("text/html", "application/xhtml+xml")
TEXT = re.compile(
    r"text/.*|application/(json|xml|javascript|ecmascript|yaml|x-yaml|toml|x-ndjson|x-sh|sql|rtf|.*\+(json|xml|yaml))"
    r"|image/svg\+xml|message/.*"
)
TAG = re.compile(r"<[^>]{0,200}>")


class FetchArguments(Arguments):
    url: str = Field(description="Address of a page, with http:// or https://")


class SearchArguments(Arguments):
    query: str = Field(min_length=1, max_length=400, description="What to look for")
    count: int = Field(default=5, ge=1, le=20, description="How many results")


class Web:
    """The two tools under the settings of one turn."""

    def __init__(
        self, internet: GuardedClient, settings: InternetConfig, environ: Callable[[], Mapping[str, str]]
    ) -> None:
        self._internet = internet
        self._settings = settings
        self._environ = environ

    def tools(self) -> tuple[ToolSpec, ...]:
        """None while the internet is switched off."""
        if not self._settings.enabled:
            return ()
        return (
            ToolSpec("WebFetch", "Read a web page as markdown, with its links.", FetchArguments, self.fetch),
            ToolSpec("WebSearch", "Search the web: title, address, description.", SearchArguments, self.search),
        )

    async def fetch(self, context: ToolContext, arguments: FetchArguments) -> str:
        """Title, address and text of a page. ToolFailure when it cannot be had or is nothing to read."""
        settings = self._settings
        url = arguments.url.strip()
        got = await self._get(url, max_bytes=settings.max_fetch_bytes)
        if got.status >= 400:
            raise ToolFailure(f"The server answered {_status(got.status)} for {url}.")
        title, text = await _text_of(got)
        if not text:
            raise ToolFailure(f"There is no text on {got.url}.")
        notes = []
        if len(text) > settings.max_text_chars:
            notes.append(f"[cut: {settings.max_text_chars} of {len(text)} characters are shown]")
            text = text[: settings.max_text_chars]
        if got.is_cut:
            notes.append(f"[only the first {settings.max_fetch_bytes} bytes of the page were read]")
        return "\n\n".join(filter(None, (f"# {title}" if title else "", f"Source: {got.url}", text, *notes)))

    async def search(self, context: ToolContext, arguments: SearchArguments) -> str:
        """Numbered results. ToolFailure without a key, and when the search service fails."""
        key = self._environ().get(SEARCH_KEY, "").strip()
        if not key:
            raise ToolFailure(
                f"Web search is not set up: {SEARCH_KEY} is missing. A key comes from brave.com/search/api."
            )
        url = f"{self._settings.search_url}?{urlencode({'q': arguments.query, 'count': arguments.count})}"
        headers = {"X-Subscription-Token": key, "Accept": "application/json"}
        # A redirect would carry the key elsewhere, so none is followed.
        got = await self._get(url, max_bytes=SEARCH_BYTES, headers=headers, max_redirects=0)
        match got.status:
            case 200:
                return _results(got.body, arguments)
            case 401 | 403:
                raise ToolFailure(f"The search service does not accept the key in {SEARCH_KEY}.")
            case 429:
                raise ToolFailure("The search service allows no more searches now. Wait a little, or do without.")
            case status:
                raise ToolFailure(f"The search service answered {_status(status)}.")

    async def _get(self, url: str, **limits: Any) -> Fetched:
        try:
            return await self._internet.fetch(url, timeout_s=self._settings.timeout_secs, **limits)
        except StarpodError as error:
            raise ToolFailure(f"{error}.") from error


async def _text_of(got: Fetched) -> tuple[str, str]:
    media_type, _, parameters = got.header("content-type").partition(";")
    media_type = media_type.strip().lower() or _sniffed(got.body)
    charset = _charset(parameters)
    if media_type in HTML:
        return await _readable(got, charset)
    if TEXT.fullmatch(media_type) and b"\0" not in got.body[:1000]:
        try:
            return "", got.body.decode(charset or "utf-8", "replace").strip()
        except LookupError:
            return "", got.body.decode("utf-8", "replace").strip()
    size = "more than " if got.is_cut else ""
    raise ToolFailure(f"{got.url} is {media_type} ({size}{len(got.body)} bytes), not a page that can be read as text.")


async def _readable(got: Fetched, charset: str | None) -> tuple[str, str]:
    head = json.dumps({"url": got.url, "charset": charset}).encode() + b"\n"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(READER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT") if name in os.environ},
    )
    try:
        async with asyncio.timeout(READING_SECS):
            output, _ = await process.communicate(head + got.body)
        found = json.loads(output)
    except (TimeoutError, ValueError) as error:
        raise ToolFailure(f"The page {got.url} could not be turned into text.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return found["title"], found["text"]


def _results(body: bytes, arguments: SearchArguments) -> str:
    try:
        found = json.loads(body)["web"]["results"]
        lines = [
            f"{number}. {_plain(each['title'])}\n   {each['url']}\n   {_plain(each.get('description') or '')}".rstrip()
            for number, each in enumerate(found[: arguments.count], start=1)
        ]
    except KeyError:
        lines = []  # the service leaves `web` out when it finds nothing
    except (ValueError, TypeError, AttributeError) as error:
        raise ToolFailure("The search service's answer could not be understood.") from error
    return "\n".join(lines) or "No results."


def _plain(text: str) -> str:
    return " ".join(html.unescape(TAG.sub("", text)).split())


def _sniffed(body: bytes) -> str:
    start = body[:1000].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    return "application/octet-stream" if b"\0" in start else "text/plain"


def _charset(parameters: str) -> str | None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip():
            return value.strip().strip("\"'")
    return None


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
