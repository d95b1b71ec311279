"""Events and records as the JSON that clients know. The one place where the shapes of the wire contract are made."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import assert_never

from pydantic_core import to_json

from handlers.events import (
    AnyTurnMessage,
    ApprovalWaiting,
    BudgetNotification,
    ConfigRejectedMessage,
    ConfigReloadedMessage,
    InstanceChanged,
    JobNotification,
    MessagesDeleted,
    SessionChanged,
    TurnMessage,
    UsageMessage,
)
from starpod.agent.types import (
    ApprovalRequested,
    ApprovalSettled,
    AttachmentSent,
    ContextCompacted,
    Published,
    StreamEnded,
    StreamStarted,
    TextDelta,
    ToolReturned,
    ToolUsed,
    UsageRow,
    UserMessageAdded,
)
from starpod.approvals.types import Question
from starpod.cron.types import CronComplete
from starpod.events import ConfigRejected, ConfigReloaded
from starpod.instances.types import InstanceStatusChanged
from starpod.usage.budget_types import BudgetNotice

RESULT_PREVIEW_BYTES = 500


def payload(published: Published) -> bytes:
    """The JSON of an event, made once for all its readers."""
    if published.payload is None:
        published.payload = to_json(_message(published), inf_nan_mode="null")
    return published.payload


def frame(published: Published) -> bytes:
    """The WebSocket frame of an event, made once for all its readers."""
    if published.frame is None:
        published.frame = text_frame(payload(published))
    return published.frame


def text_frame(data: bytes) -> bytes:
    """An unmasked, final text frame (RFC 6455, section 5.2): what a server sends."""
    size = len(data)
    if size < 126:
        return bytes((0x81, size)) + data
    if size < 65536:
        return struct.pack("!BBH", 0x81, 126, size) + data
    return struct.pack("!BBQ", 0x81, 127, size) + data


def sse(published: Published) -> bytes:
    """The event for an `EventSource`: its `id` is what `Last-Event-ID` sends back."""
    kind = _message(published)["type"]
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (published.seq, kind.encode(), payload(published))


def config_event(event: ConfigReloaded | ConfigRejected) -> ConfigReloadedMessage | ConfigRejectedMessage:
    """What admins' sockets are told of the settings."""
    if isinstance(event, ConfigReloaded):
        return {"type": "config_reloaded", "changed": event.changed, "restart_needed": event.restart_needed}
    return {"type": "config_rejected", "file": event.file, "line": event.line, "reason": event.reason}


def instance_event(event: InstanceStatusChanged) -> InstanceChanged:
    """What admins' sockets are told of an instance."""
    return {
        "type": "instance_status_changed",
        "id": event.id,
        "name": event.name,
        "status": event.status,
        "error": event.error,
    }


def job_event(event: CronComplete) -> JobNotification:
    """What a job's people are told of a run that has ended."""
    return {
        "type": "notification",
        "job_name": event.job_name,
        "session_id": event.session_id,
        "result_preview": event.result_preview,
        "success": event.success,
        "job_id": event.job_id,
        "run_id": event.run_id,
    }


def budget_event(notice: BudgetNotice) -> BudgetNotification:
    """What people are told of a limit that is coming near."""
    return {
        "type": "budget_notice",
        "scope": notice.limit.scope,
        "subject": notice.limit.subject,
        "period": notice.limit.period,
        "level": notice.level,
        "limit_usd": notice.limit.usd,
        "spent_usd": notice.spent_usd,
        "resets_at": notice.limit.resets_at,
        "text": notice.text,
    }


def spent(session_id: str, turn_id: str, usage: UsageRow) -> UsageMessage:
    """What a turn that goes on has used so far. It has no `seq`: told again, a turn tells it at its end."""
    return {
        "type": "usage",
        "session_id": session_id,
        "turn_id": turn_id,
        "cost_usd": round(usage.cost_usd, 10),
        "input_tokens": usage.input_tokens + usage.cache_read + usage.cache_write,
        "output_tokens": usage.output_tokens,
        "is_estimate": usage.is_estimate,
    }


def session_event(session_id: str, *, is_running: bool) -> SessionChanged:
    """What those who watch are told of a session that gets busy or idle."""
    return {"type": "session_changed", "session_id": session_id, "is_running": is_running}


def deleted_event(session_id: str, message_ids: Sequence[int]) -> MessagesDeleted:
    """What those who watch are told of messages that are gone."""
    return {"type": "messages_deleted", "session_id": session_id, "message_ids": message_ids}


def question_event(question: Question) -> ApprovalWaiting:
    """What sockets are told that do not follow the turn in which a tool call waits for an answer."""
    return {
        "type": "approval_waiting",
        "session_id": question.session_id,
        "turn_id": question.turn_id,
        "approval_id": question.id,
        "name": question.tool_name,
        "subject": question.subject,
        "expires_at": question.expires_at,
    }


def preview(text: str, limit: int = RESULT_PREVIEW_BYTES) -> str:
    """At most `limit` bytes of a text, cut between characters, with `...` where something is missing."""
    raw = text.encode()
    return text if len(raw) <= limit else raw[:limit].decode(errors="ignore") + "..."


def _message(published: Published) -> AnyTurnMessage:
    event = published.event
    base: TurnMessage = {
        "session_id": published.session_id,
        "turn_id": published.turn_id,
        "seq": published.seq,
    }
    match event:
        case StreamStarted():
            return {"type": "stream_start", **base}
        case UserMessageAdded(text, message_id):
            return {"type": "user_message", "text": text, "message_id": message_id, **base}
        case TextDelta(text):
            return {"type": "text_delta", "text": text, **base}
        case ToolUsed(call_id, name, arguments):
            return {"type": "tool_use", "id": call_id, "name": name, "input": arguments, **base}
        case ToolReturned(call_id, content, is_error):
            text = preview(content)
            return {"type": "tool_result", "tool_use_id": call_id, "content": text, "is_error": is_error, **base}
        case ContextCompacted(count):
            return {"type": "compaction", "messages_compacted": count, **base}
        case ApprovalRequested(question):
            return {
                "type": "approval_request",
                "approval_id": question.id,
                "tool_use_id": question.tool_use_id,
                "name": question.tool_name,
                "input": question.input,
                "subject": question.subject,
                "asked_at": question.asked_at,
                "expires_at": question.expires_at,
                **base,
            }
        case ApprovalSettled(approval_id, call_id, outcome, remember):
            return {
                "type": "approval_result",
                "approval_id": approval_id,
                "tool_use_id": call_id,
                "outcome": outcome,
                "remember": remember,
                **base,
            }
        case StreamEnded():
            return {
                "type": "stream_end",
                "num_turns": event.num_turns,
                "cost_usd": event.cost_usd,
                "input_tokens": event.input_tokens,
                "output_tokens": event.output_tokens,
                "cache_read_input_tokens": event.cache_read_input_tokens,
                "cache_creation_input_tokens": event.cache_creation_input_tokens,
                "is_error": event.is_error,
                "errors": event.errors,
                "stopped": event.stopped,
                "interrupted": event.interrupted,
                "model": event.model,
                **base,
            }
        case AttachmentSent(file_name, mime_type, data):
            return {"type": "attachment", "file_name": file_name, "mime_type": mime_type, "data": data, **base}
        case _:
            assert_never(event)
