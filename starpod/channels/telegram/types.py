"""Records of the Telegram channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UpdateState = Literal["new", "answering", "done"]
ChannelState = Literal["off", "starting", "running", "failing"]
StreamMode = Literal["final_only", "all_messages", "live"]


@dataclass(frozen=True, slots=True)
class StoredUpdate:
    """An update that is not done: "new" ones have to be handled, "answering" ones have a turn whose answer has to be sent.

    `sent` are the ids of the messages that answer it so far, `files_sent` counts the files behind them.
    """

    update_id: int
    chat_id: int
    state: UpdateState
    payload: str
    user_id: str | None = None
    session_id: str | None = None
    turn_id: str | None = None
    sent: tuple[int, ...] = ()
    files_sent: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """Where an answer goes: a chat, a topic of it, and the message that it answers where several people write."""

    chat_id: int
    thread_id: int | None = None
    reply_to: int | None = None

    @property
    def is_private(self) -> bool:
        """Whether one person alone reads there; groups have negative ids."""
        return self.chat_id > 0


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote, as Telegram names them."""

    id: int
    username: str | None
    first_name: str


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file that can be fetched. `size_bytes` is what Telegram says; None when it does not."""

    file_id: str
    file_name: str
    mime_type: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message to the bot. `command` is its first word without slash and bot name, when it is a command to this bot.

    `context` tells what it replies to, "" when it replies to nothing.
    """

    address: Address
    message_id: int
    sender: Sender | None
    text: str
    command: str | None
    context: str
    files: tuple[FileReference, ...]


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A press of one of the bot's buttons, which carries `data`."""

    id: str
    sender: Sender
    data: str
    chat_id: int | None
    message_id: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """How the channel is doing. `problem` is one line, fit to show to admins; `since` an RFC 3339 time, when it began."""

    state: ChannelState
    username: str | None = None
    problem: str | None = None
    since: str | None = None
