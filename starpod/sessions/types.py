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
