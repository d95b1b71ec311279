"""What a request of OpenAI's protocol means to an agent that keeps its own sessions.

The protocol has no memory: a client sends the whole conversation each time. Here the last words of the person are the message. What
stands before them is known already where the request names a session, and is heard by the model first where it begins one.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

from starpod.agent.attachments import decode_base64
from starpod.agent.types import EarlierMessage, IncomingFile
from starpod.errors import InvalidInput, Upstream
from starpod.net.guarded import GuardedClient

FETCH_TIMEOUT_S = 20.0
COLLECT_TIMEOUT_S = 60.0
MOST_FILES = 50
MOST_BYTES = 64 * 1024 * 1024
"""All files of a request together. Those inside of it cannot have more, but URLs can."""
NO_QUESTION = "The last message must be the person's: role user, with a text or a file"


@dataclass(frozen=True, slots=True)
class Link:
    """A file by its URL: `data:`, or http(s) of a public address. `field` is where the request has it."""

    url: str
    name: str | None
    field: str


@dataclass(frozen=True, slots=True)
class Said:
    """A message of the request. What the protocol calls system or developer is `system`."""

    role: Literal["system", "user", "assistant"]
    text: str
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Parted:
    """A request by what its messages are for."""

    instructions: str
    earlier: tuple[Said, ...]
    text: str
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The same with its files at hand."""

    instructions: str
    earlier: tuple[EarlierMessage, ...]
    text: str
    files: tuple[IncomingFile, ...]


def part(messages: Sequence[Said]) -> Parted:
    """Instructions are joined wherever they stand; all that the person said last is one message. InvalidInput without any."""
    spoken = [said for said in messages if said.role != "system"]
    newest = len(spoken)
    while newest > 0 and spoken[newest - 1].role == "user":
        newest -= 1
    asked = spoken[newest:]
    text = "\n\n".join(said.text for said in asked if said.text)
    links = tuple(link for said in asked for link in said.links)
    if not text.strip() and not links:
        raise InvalidInput(NO_QUESTION, {"messages": "end with a message of role user"})
    instructions = "\n\n".join(said.text for said in messages if said.role == "system" and said.text.strip())
    earlier = tuple(said for said in spoken[:newest] if said.text or said.links)
    return Parted(instructions, earlier, text, links)


async def collect(
    parted: Parted, internet: GuardedClient, max_bytes: int, *, timeout_s: float = COLLECT_TIMEOUT_S
) -> Conversation:
    """Have every file at hand; `max_bytes` is what one may have.

    Raises InvalidInput for one that cannot be had, Upstream when it takes too long, and what the guarded client raises.
    """
    count = len(parted.links) + sum(len(said.links) for said in parted.earlier)
    if count > MOST_FILES:
        raise InvalidInput(
            f"A request may have {MOST_FILES} files at most, this one has {count}", {"messages": "leave some out"}
        )
    collector = _Collector(internet, max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            earlier = [
                EarlierMessage(
                    "user" if said.role == "user" else "assistant", said.text, await collector.files(said.links)
                )
                for said in parted.earlier
            ]
            files = await collector.files(parted.links)
    except TimeoutError as error:
        raise Upstream(f"The files of the request did not come within {timeout_s:g} seconds") from error
    return Conversation(parted.instructions, tuple(earlier), parted.text, files)


class _Collector:
    """Gets the files of one request, one after another."""

    def __init__(self, internet: GuardedClient, max_bytes: int) -> None:
        self._internet = internet
        self._max_bytes = max_bytes
        self._left = MOST_BYTES

    async def files(self, links: Sequence[Link]) -> tuple[IncomingFile, ...]:
        """What is behind the links."""
        return tuple([await self._file(link) for link in links])

    async def _file(self, link: Link) -> IncomingFile:
        if link.url[:5].lower() == "data:":
            mime_type, data = await asyncio.to_thread(from_data_url, link)
            if not data:
                raise InvalidInput("A file is empty", {link.field: "holds nothing"})
        else:
            mime_type, data = await self._fetched(link)
        self._left -= len(data)
        if self._left < 0:
            raise self._too_much(link)
        return IncomingFile(_name(link, mime_type), mime_type, data)

    async def _fetched(self, link: Link) -> tuple[str, bytes]:
        most = min(self._max_bytes, self._left)
        try:
            fetched = await self._internet.fetch(link.url, timeout_s=FETCH_TIMEOUT_S, max_bytes=most)
        except InvalidInput as error:
            raise InvalidInput(
                str(error), {link.field: "send a data: URL, or an http(s) one of a public address"}
            ) from error
        if fetched.status != 200:
            raise Upstream(f"{link.field}: the server answered {fetched.status} instead of the file")
        if fetched.is_cut and most < self._max_bytes:
            raise self._too_much(link)
        if fetched.is_cut:
            raise InvalidInput(f"The file at a URL is larger than {most} bytes", {link.field: "is too large"})
        return fetched.header("content-type").split(";")[0].strip() or "application/octet-stream", fetched.body

    def _too_much(self, link: Link) -> InvalidInput:
        return InvalidInput(
            f"The files of a request may have {MOST_BYTES} bytes together", {link.field: "is too much; send fewer"}
        )


def from_data_url(link: Link) -> tuple[str, bytes]:
    """Media type and content of a `data:` URL (RFC 2397). Raises InvalidInput."""
    head, comma, body = link.url[5:].partition(",")
    mime_type, *parameters = head.split(";")
    if not comma:
        raise InvalidInput(
            "A data: URL has a comma before its content", {link.field: "must be data:<type>;base64,<content>"}
        )
    if "base64" not in (parameter.strip().lower() for parameter in parameters):
        return mime_type or "text/plain", unquote_to_bytes(body)
    try:
        return mime_type or "application/octet-stream", decode_base64("".join(body.split()))
    except ValueError as error:
        raise InvalidInput(
            "The content of a data: URL is not valid base64", {link.field: "is not valid base64"}
        ) from error


def _name(link: Link, mime_type: str) -> str:
    if link.name:
        return link.name
    kind = mime_type.partition("/")[0]
    stem = kind if kind in ("image", "audio", "video") else "file"
    return f"{stem}{mimetypes.guess_extension(mime_type) or ''}"
