"""Records of the outbox. Times are seconds since 1970 in UTC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

DeliveryState = Literal["waiting", "sending", "sent", "dead"]
ChannelName = Literal["telegram"]

Send = Callable[[str, str], Awaitable[None]]
"""`send(user_id, text)` of a channel: returns once the text, markdown of any length, has arrived at the person.

Raises RetryLater, Undeliverable; Upstream for a trouble of the channel that may pass.
"""


class RetryLater(Exception):
    """The channel does not take the text now. `seconds`: how long it asked to be left alone, 0 when it did not say. Fit to show."""

    def __init__(self, reason: str, seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Undeliverable(Exception):
    """The text will never arrive at this person, however often it is tried. The text is fit to show."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A text on its way to a person, as it is listed. Its words are gone once it has arrived."""

    id: int
    channel: str
    user_id: str
    title: str
    text: str
    state: DeliveryState
    attempts: int
    error: str | None
    created_at: float
    next_attempt_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A text that this process alone sends until its lease ends. `attempt` counts from 1."""

    id: int
    channel: ChannelName
    user_id: str
    title: str
    text: str
    attempt: int
    created_at: float


@dataclass(frozen=True, slots=True)
class Message:
    """Something to deliver. `source` names what happened, which is told once."""

    title: str
    text: str
    source: str
