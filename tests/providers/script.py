"""What a scripted provider does with one request: a list of steps, the same for every wire format. It knows no HTTP."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Say:
    """Answer with these pieces of text, one event each; `delay_s` is waited before every piece."""

    pieces: tuple[str, ...]
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Burst:
    """The same pieces of text, all events in one write, as a provider that runs ahead of its reader."""

    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Think:
    """Reasoning; the signature (or, redacted, the opaque data) only exists in the Anthropic format."""

    pieces: tuple[str, ...] = ()
    signature: str = "sig"
    redacted: bool = False


@dataclass(frozen=True, slots=True)
class CallTool:
    """Ask for one tool call; `arguments` is JSON text and is sent in two halves."""

    name: str
    arguments: str = "{}"
    call_id: str = "call_1"


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts to report. `input` is uncached, as Anthropic counts; the OpenAI format reports the sum."""

    input: int = 10
    output: int = 20
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with an error status instead of a stream."""

    status: int
    message: str = "scripted failure"
    kind: str = "scripted_error"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FailInStream:
    """Send an error event inside the open stream."""

    message: str = "scripted failure"
    kind: str = "overloaded_error"


@dataclass(frozen=True, slots=True)
class SplitCharacter:
    """Send one text event in two packets, cut inside its first multi-byte character."""

    text: str = "gr\u00fc\u00df dich \U0001f600"
    pause_s: float = 0.02


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on when the test opens the gate."""

    gate: Gate


@dataclass(frozen=True, slots=True)
class Hang:
    """Say nothing more and keep the connection until the client leaves. As first step: not even a status line."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Close the socket in the middle of an event."""

    text: str = "unfinis"


Step = Say | Burst | Think | CallTool | Usage | Fail | FailInStream | SplitCharacter | Wait | Hang | Cut


@dataclass(frozen=True, slots=True)
class Script:
    """The steps of one reply. Without a `Cut`, `Hang` or `Fail` the reply ends properly."""

    steps: tuple[Step, ...]

    @property
    def usage(self) -> Usage:
        """The counts to report, wherever the script names them."""
        return next((step for step in self.steps if isinstance(step, Usage)), Usage())

    @property
    def text(self) -> str:
        """Everything the reply says as text when it is not cut short."""
        parts: list[str] = []
        for step in self.steps:
            if isinstance(step, Say | Burst):
                parts.extend(step.pieces)
            elif isinstance(step, SplitCharacter):
                parts.append(step.text)
        return "".join(parts)


def script(*steps: Step | str) -> Script:
    """A script of these steps; a plain string stands for saying it in one piece."""
    return Script(tuple(Say((step,)) if isinstance(step, str) else step for step in steps))


class Gate:
    """Opened by the test, waited for by the server; both live in different threads."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def open(self) -> None:
        self._event.set()

    def wait(self, timeout_s: float = 10.0) -> bool:
        return self._event.wait(timeout_s)


@dataclass(slots=True)
class Received:
    """One request as the server saw it. Times are `time.monotonic()` seconds, comparable between threads."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    received_at: float
    closed_at: float | None = None
    closed: threading.Event = field(default_factory=threading.Event)
    """Set when the client left before the reply was complete."""
