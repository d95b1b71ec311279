"""Records of memory files and their history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["tool", "settings", "page", "review", "flush", "log", "export", "revert", "hand"]
"""By what a file was written; `hand` is an edit outside the gateway that was seen afterwards."""


@dataclass(frozen=True, slots=True)
class Writer:
    """On whose behalf a file is read or written, and by what. `is_admin` also holds for the agent when it acts by itself."""

    user_id: str
    is_admin: bool
    origin: Origin
    session_id: str | None = None
    turn_id: str | None = None


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file as a listing shows it. `modified_at` is RFC 3339 in UTC; `owner` is None for the agent's own files."""

    file: str
    size_bytes: int
    modified_at: str
    owner: str | None


@dataclass(frozen=True, slots=True)
class MemoryText:
    """A whole file. `hash` names this content; it is "" for a file that does not exist."""

    file: str
    content: str
    hash: str


@dataclass(frozen=True, slots=True)
class Version:
    """A content that a file had, and how it came about. `user_id` is None for edits by hand; times are RFC 3339 in UTC.

    `message_id` is the person's message that the agent was answering, None once that is deleted, or when none was.
    """

    version: int
    file: str
    hash: str
    size_bytes: int
    origin: Origin
    user_id: str | None
    session_id: str | None
    turn_id: str | None
    created_at: str
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a write led to. `version` is None when the content was the same already."""

    file: str
    hash: str
    size_bytes: int
    version: int | None
