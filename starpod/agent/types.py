"""Records of the turn engine: what is asked, and the events that tell how the answer comes about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starpod.approvals.types import Outcome, Question, Remember
from starpod.sessions.types import SessionKey

TurnState = Literal["queued", "running", "completed", "stopped", "failed", "interrupted"]
FollowUpMode = Literal["inject", "queue"]


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file that came with a message; `data` is its decoded content."""

    file_name: str
    mime_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class EarlierMessage:
    """What was said before the first message of a session, as a client that keeps its own history tells it."""

    role: Literal["user", "assistant"]
    text: str
    files: tuple[IncomingFile, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """One message to the agent. `client_message_id` makes sending it twice harmless.

    `earlier` is for a session that this message begins: the model hears it first. `instructions` are the client's, for this turn only.
    """

    text: str
    key: SessionKey
    is_admin: bool = False
    model: str | None = None
    files: tuple[IncomingFile, ...] = ()
    client_message_id: str | None = None
    follow_up: FollowUpMode | None = None
    triggered_by: str | None = None
    earlier: tuple[EarlierMessage, ...] = ()
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The turn has begun; its first model call follows."""


@dataclass(frozen=True, slots=True)
class UserMessageAdded:
    """A follow-up joined the running turn."""

    text: str
    message_id: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Some more of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """The model asked for a tool; it starts now."""

    id: str
    name: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool came back; `content` is whole."""

    tool_use_id: str
    content: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class ContextCompacted:
    """Older messages were replaced by a summary for the model; what people see is unchanged."""

    messages_compacted: int


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The turn is over. Token counts are sums over its model calls; `input_tokens` includes cached ones; costs are USD."""

    num_turns: int
    cost_usd: float
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    is_error: bool
    errors: tuple[str, ...] = ()
    stopped: bool = False
    interrupted: bool = False
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A tool call waits for the session's owner."""

    question: Question


@dataclass(frozen=True, slots=True)
class ApprovalSettled:
    """It waits no longer; "withdrawn" when its turn was stopped."""

    approval_id: str
    tool_use_id: str
    outcome: Outcome
    remember: Remember


@dataclass(frozen=True, slots=True)
class AttachmentSent:
    """A file for the person; `data` is base64."""

    file_name: str
    mime_type: str
    data: str


TurnEvent = (
    StreamStarted
    | UserMessageAdded
    | TextDelta
    | ToolUsed
    | ToolReturned
    | ContextCompacted
    | ApprovalRequested
    | ApprovalSettled
    | StreamEnded
    | AttachmentSent
)


@dataclass(slots=True)
class Published:
    """An event with its place in a turn (`seq` from 1). The encodings are filled in once, by the first reader that needs them."""

    session_id: str
    turn_id: str
    seq: int
    event: TurnEvent
    payload: bytes | None = field(default=None, repr=False)
    frame: bytes | None = field(default=None, repr=False)


Follower = Callable[[Published], None]
"""Called on the event loop with each event, in order; it must return at once."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one model call used. `input_tokens` is the part that was not cached; `is_estimate` when the provider never told."""

    input_tokens: int
    output_tokens: int
    cache_read: int
    cache_write: int
    cost_usd: float
    is_estimate: bool
    purpose: str
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn as the database knows it."""

    id: str
    session_id: str
    user_id: str
    state: TurnState
    text: str
    model: str | None
    num_turns: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Branch:
    """A turn among those that answer at the same place: it was regenerated, or its message was edited."""

    turn_id: str
    parent_id: str | None
    message_id: int
    text: str
    state: TurnState
    model: str | None
    created_at: str
    is_active: bool
