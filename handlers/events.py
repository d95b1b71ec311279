"""What the gateway sends over `/ws` and event streams, message by message. `handlers/wire.py` makes them from events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from starpod.approvals.types import Outcome, Remember
from starpod.usage.budget_types import Period, Scope


class TurnMessage(TypedDict):
    """An event of a turn. `seq` counts from 1 in each turn; `resume` asks for what came after one."""

    session_id: str
    turn_id: str
    seq: int


class StreamStart(TurnMessage):
    """The turn has begun."""

    type: Literal["stream_start"]


class UserMessage(TurnMessage):
    """A follow-up joined the running turn."""

    type: Literal["user_message"]
    text: str
    message_id: int


class TextDeltaMessage(TurnMessage):
    """Some more of the answer."""

    type: Literal["text_delta"]
    text: str


class ToolUse(TurnMessage):
    """The model asked for a tool; it starts now."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: Mapping[str, Any]


class ToolResult(TurnMessage):
    """A tool came back; `content` has at most 500 bytes and ends in `...` where more is stored."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: str
    is_error: bool


class Compaction(TurnMessage):
    """Older messages were replaced by a summary for the model; what people see is unchanged."""

    type: Literal["compaction"]
    messages_compacted: int


class ApprovalRequest(TurnMessage):
    """A tool call waits for the session's owner: answer by `approve` or `deny`."""

    type: Literal["approval_request"]
    approval_id: str
    tool_use_id: str
    name: str
    input: Mapping[str, Any]
    subject: str
    asked_at: str
    expires_at: str


class ApprovalResult(TurnMessage):
    """It waits no longer."""

    type: Literal["approval_result"]
    approval_id: str
    tool_use_id: str
    outcome: Outcome
    remember: Remember


class StreamEnd(TurnMessage):
    """The turn is over. `input_tokens` includes cached ones; costs are USD."""

    type: Literal["stream_end"]
    num_turns: int
    cost_usd: float
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    is_error: bool
    errors: Sequence[str]
    stopped: bool
    interrupted: bool
    model: str | None


class AttachmentMessage(TurnMessage):
    """A file for the person, after the end of the turn; `data` is base64."""

    type: Literal["attachment"]
    file_name: str
    mime_type: str
    data: str


class Accepted(TypedDict):
    """A message with a `client_message_id` was stored; the same id again joins its turn."""

    type: Literal["accepted"]
    client_message_id: str
    session_id: str
    turn_id: str
    message_id: int | None
    is_duplicate: bool
    is_follow_up: bool


class Pong(TypedDict):
    """The answer to `ping`."""

    type: Literal["pong"]


class NotRunning(TypedDict):
    """There was nothing to cancel."""

    type: Literal["not_running"]
    session_id: str


class Resync(TypedDict):
    """The turn is stored and numbered anew: read the messages instead."""

    type: Literal["resync"]
    session_id: str
    turn_id: str | None


class ErrorMessage(TypedDict):
    """A message could not be followed; the socket stays open. `status` is what HTTP would have answered."""

    type: Literal["error"]
    message: str
    status: NotRequired[int]
    fields: NotRequired[Mapping[str, str]]
    client_message_id: NotRequired[str | None]
    session_id: NotRequired[str]
    retry_after: NotRequired[int]


class JobNotification(TypedDict):
    """A job's run has ended."""

    type: Literal["notification"]
    job_name: str
    session_id: str
    result_preview: str
    success: bool
    job_id: str
    run_id: str


class BudgetNotification(TypedDict):
    """Half, four fifths or all of a limit is used."""

    type: Literal["budget_notice"]
    scope: Scope
    subject: str
    period: Period
    level: int
    limit_usd: float
    spent_usd: float
    resets_at: datetime
    text: str


class ConfigReloadedMessage(TypedDict):
    """For admins: new settings are in force, some of them after a restart only."""

    type: Literal["config_reloaded"]
    changed: Sequence[str]
    restart_needed: Sequence[str]


class ConfigRejectedMessage(TypedDict):
    """For admins: a settings file cannot be used; the old settings stay in force."""

    type: Literal["config_rejected"]
    file: str
    line: int | None
    reason: str


class InstanceChanged(TypedDict):
    """For admins: an instance is in another state."""

    type: Literal["instance_status_changed"]
    id: str
    name: str | None
    status: str
    error: str | None


class ApprovalWaiting(TypedDict):
    """A tool call waits in a turn that this socket does not follow; `resume` shows it whole."""

    type: Literal["approval_waiting"]
    session_id: str
    turn_id: str
    approval_id: str
    name: str
    subject: str
    expires_at: str


class SessionChanged(TypedDict):
    """A session of the user's gets busy or idle. Only for sockets opened with `sessions=1`."""

    type: Literal["session_changed"]
    session_id: str
    is_running: bool


class MessagesDeleted(TypedDict):
    """Messages of a session of the user's are gone. Only for sockets opened with `sessions=1`."""

    type: Literal["messages_deleted"]
    session_id: str
    message_ids: Sequence[int]


class UsageMessage(TypedDict):
    """What a running turn has used so far: each second of an answer (an estimate), and after each call of the model but the last.

    Only for sockets opened with `sessions=1`.
    """

    type: Literal["usage"]
    session_id: str
    turn_id: str
    cost_usd: float
    input_tokens: int
    output_tokens: int
    is_estimate: bool


AnyTurnMessage = (
    StreamStart
    | UserMessage
    | TextDeltaMessage
    | ToolUse
    | ToolResult
    | Compaction
    | ApprovalRequest
    | ApprovalResult
    | StreamEnd
    | AttachmentMessage
)
Message = (
    Accepted
    | Pong
    | NotRunning
    | Resync
    | ErrorMessage
    | JobNotification
    | BudgetNotification
    | ConfigReloadedMessage
    | ConfigRejectedMessage
    | InstanceChanged
    | ApprovalWaiting
    | SessionChanged
    | MessagesDeleted
    | UsageMessage
)
