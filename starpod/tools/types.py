"""What every tool gets, takes and gives back. Knows neither models nor HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """A file of the user's home that is to be sent along with the answer; `path` is absolute and resolved, inside `home`."""

    file_name: str
    mime_type: str
    path: Path
    size_bytes: int
    home: Path


@dataclass(frozen=True, slots=True)
class ToolContext:
    """On whose behalf a tool acts. `attach` is called on the event loop."""

    user_id: str
    session_id: str
    turn_id: str
    home: Path
    role: Literal["user", "admin"]
    attach: Callable[[OutgoingFile], None]
    max_attachment_bytes: int


class ToolFailure(Exception):
    """The tool could not do it; the message tells the model what went wrong and what would work."""


@dataclass(frozen=True, slots=True)
class ToolImage:
    """A result that the model is shown as an image, introduced by `text`."""

    text: str
    data: bytes
    media_type: str


ToolOutput: TypeAlias = str | ToolImage


class Arguments(BaseModel):
    """What the arguments of all tools share: others are ignored, and the reader is made when the tool is first offered."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool as a family offers it.

    `run(context, arguments)` gets an instance of `arguments`. A plain function runs in a worker thread, a coroutine function on
    the loop. A `sequential` tool never overlaps another one of the same turn: those that change something keep their order.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[ToolContext, Any], ToolOutput | Awaitable[ToolOutput]]
    sequential: bool = False
