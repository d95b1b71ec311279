"""What an update of Telegram's says, as a record of ours. Pure functions over the JSON that was received; nothing in it is trusted.

Format: core.telegram.org/bots/api#update.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from typing import Any

from starpod.channels.telegram.types import Address, ButtonPress, FileReference, IncomingMessage, Sender

QUOTED_LENGTH = 2000


class Malformed(Exception):
    """It is no update, or not of the shape that Telegram documents."""


def update_id_of(update: object) -> int | None:
    """The id of an update, None when it has none."""
    found = update.get("update_id") if isinstance(update, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**63 else None


def chat_id_of(update: Mapping[str, Any]) -> int:
    """The chat that an update came in; 0 when it cannot be told."""
    try:
        read = read_update(update, "")
    except Malformed:
        return 0
    match read:
        case IncomingMessage():
            return read.address.chat_id
        case ButtonPress():
            return read.chat_id or 0
        case None:
            return 0


def album_of(update: Mapping[str, Any]) -> str | None:
    """What the parts of an album have in common, None for what is no part of one."""
    message = update.get("message")
    found = message.get("media_group_id") if isinstance(message, dict) else None
    return found if isinstance(found, str) and found else None


def read_update(update: Mapping[str, Any], bot_name: str) -> IncomingMessage | ButtonPress | None:
    """The message or press in an update; None for what is neither. Raises Malformed."""
    try:
        if (message := update.get("message")) is not None:
            return _message(message, bot_name)
        if (press := update.get("callback_query")) is not None:
            return _press(press)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise Malformed(type(error).__name__) from error
    return None


def joined(messages: list[IncomingMessage]) -> IncomingMessage:
    """The parts of an album as one message."""
    first = messages[0]
    return IncomingMessage(
        first.address,
        first.message_id,
        first.sender,
        "\n".join(filter(None, (message.text for message in messages))),
        first.command,
        first.context,
        tuple(file for message in messages for file in message.files),
    )


def _message(message: Mapping[str, Any], bot_name: str) -> IncomingMessage:
    chat_id, message_id = _whole(message["chat"]["id"]), _whole(message["message_id"])
    is_private = message["chat"].get("type", "private") == "private"
    thread_id = message.get("message_thread_id") if message.get("is_topic_message") is True else None
    text = message.get("text") or message.get("caption") or ""
    if not isinstance(text, str):
        raise ValueError("text")
    command, text = _command(message, text, bot_name)
    return IncomingMessage(
        address=Address(
            chat_id, _whole(thread_id) if thread_id is not None else None, None if is_private else message_id
        ),
        message_id=message_id,
        sender=_sender(message["from"]) if message.get("from") is not None else None,
        text=text,
        command=command,
        context=_context(message),
        files=_files(message),
    )


def _press(press: Mapping[str, Any]) -> ButtonPress:
    message = press.get("message") or {}
    chat = message.get("chat") or {}
    return ButtonPress(
        id=str(press["id"]),
        sender=_sender(press["from"]),
        data=str(press.get("data") or ""),
        chat_id=_whole(chat["id"]) if "id" in chat else None,
        message_id=_whole(message["message_id"]) if "message_id" in message else None,
    )


def _sender(person: Mapping[str, Any]) -> Sender:
    name = person.get("username")
    return Sender(
        _whole(person["id"]), name if isinstance(name, str) and name else None, str(person.get("first_name") or "")
    )


def _command(message: Mapping[str, Any], text: str, bot_name: str) -> tuple[str | None, str]:
    """The command that a text begins with, and the text without this bot's name; commands of other bots are just text."""
    entities = message.get("entities") or message.get("caption_entities") or []
    if not text.startswith("/") or not any(
        entity.get("type") == "bot_command" and entity.get("offset") == 0 for entity in entities
    ):
        return None, text
    word, blank, rest = text.partition(" ")
    if "\n" in word:
        word, blank, rest = text.partition("\n")
    name, at, addressee = word[1:].partition("@")
    if at and addressee.lower() != bot_name.lower():
        return None, text
    return name.lower(), f"/{name}{blank}{rest}"


def _context(message: Mapping[str, Any]) -> str:
    """What a message replies to, in lines for the model."""
    replied = message.get("reply_to_message") or message.get("external_reply")
    if not isinstance(replied, dict) or "forum_topic_created" in replied:
        return ""
    quote = message.get("quote")
    quoted = quote.get("text") if isinstance(quote, dict) else replied.get("text") or replied.get("caption")
    if not isinstance(quoted, str):
        quoted = ""
    if len(quoted) > QUOTED_LENGTH:
        quoted = f"{quoted[:QUOTED_LENGTH]}…"
    author = replied.get("from") or {}
    whom = "an earlier answer" if author.get("is_bot") is True else "an earlier message"
    names = [file.file_name for file in _files(replied)]
    lines = [f"In reply to {whom}{f' with {names[0]}' if names else ''}:"] if quoted or names else []
    return "\n".join([*lines, *(f"> {line}" for line in quoted.splitlines())])


def _files(message: Mapping[str, Any]) -> tuple[FileReference, ...]:
    files = []
    if photos := message.get("photo"):
        best = max(photos, key=lambda photo: _whole(photo.get("width", 0)) * _whole(photo.get("height", 0)))
        files.append(FileReference(str(best["file_id"]), "photo.jpg", "image/jpeg", _size(best)))
    if document := message.get("document"):
        name = str(document.get("file_name") or "document")
        declared = document.get("mime_type") or mimetypes.guess_type(name)[0] or "application/octet-stream"
        files.append(FileReference(str(document["file_id"]), name, str(declared), _size(document)))
    return tuple(files)


def _size(file: Mapping[str, Any]) -> int | None:
    size = file.get("file_size")
    return None if size is None else _whole(size)


def _whole(number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 2**53:
        raise ValueError("a number")
    return number
