"""Records of the approvals domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Decision = Literal["approve", "deny"]
Remember = Literal["once", "session", "forever"]
Outcome = Literal["approved", "denied", "timeout", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Question:
    """A tool call that waits. `subject` is what an answer is remembered for: a command of Bash, otherwise the tool as a whole ("")."""

    id: str
    user_id: str
    session_id: str
    turn_id: str
    tool_use_id: str
    tool_name: str
    subject: str
    input: Mapping[str, Any]
    asked_at: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A remembered answer; `session_id` None means for ever."""

    id: str
    user_id: str
    tool_name: str
    subject: str
    decision: Decision
    session_id: str | None
    created_at: str
