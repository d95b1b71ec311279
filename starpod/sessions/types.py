"""Records of the sessions domain. Field names and order are those of the wire contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Channel = Literal["main", "telegram", "email", "slack"]
MessageRole = Literal["user", "assistant", "tool_use", "tool_result"]

AGENT_USER_IDS = ("admin", "cron", "heartbeat", "boot", "bootstrap")
"""Owners that are no people: what the agent does by itself, and who chats while no user exists. Admins see their sessions too."""


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation. Times are RFC 3339 texts in UTC; `triggered_by` names the job that started it."""

    id: str
    created_at: str
    last_message_at: str
    is_closed: bool
    summary: str | None
    title: str | None
    message_count: int
    channel: Channel
    channel_session_key: str | None
    user_id: str
    is_read: bool
    is_archived: bool
    triggered_by: str | None
    is_pinned: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One stored row of a conversation. `content` is plain text for user and assistant, JSON for tool rows; `turn_id` may be gone."""

    id: int
    session_id: str
    role: MessageRole
    content: str
    timestamp: str
    turn_id: str | None


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """What a list of sessions is to hold. `before` is the id of the last session of the page before."""

    limit: int = 20
    archived: bool = False
    pinned_only: bool = False
    before: str | None = None


@dataclass(frozen=True, slots=True)
class SessionHit:
    """A session found by words: by its title (then `message_id` and `role` are None), or by its best message.

    `snippet` is plain text; each of `marks` is a pair of offsets into it, in characters, where a word of the query stands.
    """

    session_id: str
    title: str | None
    last_message_at: str
    message_id: int | None
    role: MessageRole | None
    timestamp: str | None
    snippet: str
    marks: tuple[tuple[int, int], ...]
    score: float


@dataclass(frozen=True, slots=True)
class ExportedTurn:
    """A turn as an export tells it. Tokens are sums over its model calls, `input_tokens` the part that was not cached."""

    id: str
    parent_id: str | None
    state: str
    model: str | None
    error: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    is_active: bool
    input_tokens: int
    output_tokens: int
    cache_read: int
    cache_write: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of a conversation as an export names it."""

    turn_id: str | None
    direction: str
    file_name: str
    mime_type: str
    size_bytes: int
    created_at: str


@dataclass(frozen=True, slots=True)
class SessionFile:
    """A file that came with a message ("in") or with an answer ("out")."""

    id: str
    turn_id: str | None
    direction: Literal["in", "out"]
    file_name: str
    mime_type: str
    size_bytes: int
    created_at: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that came with a message; `path` is relative to its owner's home."""

    user_id: str
    is_admin: bool
    path: str


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What a message names its conversation by: the newest open session of this triple is continued."""

    channel: Channel
    key: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. `user_id` None means that no user exists yet and everything is open."""

    user_id: str | None
    is_admin: bool = False

    @property
    def owner_ids(self) -> tuple[str, ...] | None:
        """The owners whose sessions this viewer may see; None for all."""
        if self.user_id is None:
            return None
        return (self.user_id, *AGENT_USER_IDS) if self.is_admin else (self.user_id,)
