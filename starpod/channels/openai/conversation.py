"""What a request of OpenAI's protocol means to an agent that keeps its own sessions.

The protocol has no memory: a client sends the whole conversation each time. Here the last words of the person are the message. What
stands before them is known already where the request names a session, and is heard by the model first where it begins one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote_to_bytes

from starpod.agent.types import EarlierMessage, IncomingFile
from starpod.errors import InvalidInput, Upstream
from starpod.net.guarded import GuardedClient

FETCH_TIMEOUT_S = 20.0
MOST_FILES = 50
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


async def collect(parted: Parted, internet: GuardedClient, max_bytes: int) -> Conversation:
    """Have every file at hand. Raises InvalidInput for one that cannot be had, and what the guarded client raises."""
    count = len(parted.links) + sum(len(said.links) for said in parted.earlier)
    if count > MOST_FILES:
        raise InvalidInput(
            f"A request may have {MOST_FILES} files at most, this one has {count}", {"messages": "leave some out"}
        )
    earlier = []
    for said in parted.earlier:
        files = [await _file(link, internet, max_bytes) for link in said.links]
        earlier.append(EarlierMessage("user" if said.role == "user" else "assistant", said.text, tuple(files)))
    files = [await _file(link, internet, max_bytes) for link in parted.links]
    return Conversation(parted.instructions, tuple(earlier), parted.text, tuple(files))


async def _file(link: Link, internet: GuardedClient, max_bytes: int) -> IncomingFile:
    if link.url[:5].lower() == "data:":
        mime_type, data = await asyncio.to_thread(from_data_url, link)
        if not data:
            raise InvalidInput("A file is empty", {link.field: "holds nothing"})
        return IncomingFile(_name(link, mime_type), mime_type, data)
    try:
        fetched = await internet.fetch(link.url, timeout_s=FETCH_TIMEOUT_S, max_bytes=max_bytes)
    except InvalidInput as error:
        raise InvalidInput(
            str(error), {link.field: "send a data: URL, or an http(s) one of a public address"}
        ) from error
    if fetched.status != 200:
        raise Upstream(f"{link.field}: the server answered {fetched.status} instead of the file")
    if fetched.is_cut:
        raise InvalidInput(f"The file at a URL is larger than {max_bytes} bytes", {link.field: "is too large"})
    mime_type = fetched.header("content-type").split(";")[0].strip() or "application/octet-stream"
    return IncomingFile(_name(link, mime_type), mime_type, fetched.body)


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
        return mime_type or "application/octet-stream", base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(
            "The content of a data: URL is not valid base64", {link.field: "is not valid base64"}
        ) from error


def _name(link: Link, mime_type: str) -> str:
    if link.name:
        return link.name
    kind = mime_type.partition("/")[0]
    stem = kind if kind in ("image", "audio", "video") else "file"
    return f"{stem}{mimetypes.guess_extension(mime_type) or ''}"
