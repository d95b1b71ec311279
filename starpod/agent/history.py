"""The stored form of what the model is shown: pydantic-ai messages as JSON, one a row.

The few messages that must be written without the library at hand (at start, before it is imported, or inside a transaction) are built
here from plain values; the library fills in what is left out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from starpod.clock import format_time

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

DELETED = "[This message was deleted.]"
"""What the model is shown in place of a person's message that was deleted: somebody must have asked for the answer behind it."""
INTERRUPTED = "The tool call was interrupted before it returned a result."


@dataclass(slots=True)
class History:
    """Messages in order, each with the id of its row (0 for one that is not stored by itself, such as a summary)."""

    messages: list[ModelMessage]
    ids: list[int]

    def append(self, row_id: int, message: ModelMessage) -> None:
        """Add the newest message."""
        self.messages.append(message)
        self.ids.append(row_id)


def user_json(text: str, now: datetime) -> str:
    """A request that holds one user prompt of plain text."""
    part = {"part_kind": "user-prompt", "content": text, "timestamp": format_time(now)}
    return json.dumps({"kind": "request", "parts": [part]})


def partial_response_json(text: str, now: datetime) -> str:
    """A response of which only `text` arrived."""
    return json.dumps(
        {"kind": "response", "parts": [{"part_kind": "text", "content": text}], "timestamp": format_time(now)}
    )


def tool_returns_json(returns: Sequence[tuple[str, str, str, bool]], now: datetime) -> str:
    """A request with tool results, each (call id, tool name, content, whether it succeeded)."""
    parts = [
        {
            "part_kind": "tool-return",
            "tool_call_id": call_id,
            "tool_name": name,
            "content": content,
            "outcome": "success" if succeeded else "failed",
            "timestamp": format_time(now),
        }
        for call_id, name, content, succeeded in returns
    ]
    return json.dumps({"kind": "request", "parts": parts})


def open_tool_calls(message_json: str) -> list[tuple[str, str]]:
    """(call id, tool name) of every tool call in a stored response; empty for any other message."""
    message: dict[str, Any] = json.loads(message_json)
    if message.get("kind") != "response":
        return []
    return [
        (part["tool_call_id"], part["tool_name"]) for part in message["parts"] if part.get("part_kind") == "tool-call"
    ]


def load(rows: Sequence[tuple[int, str]], summary: str | None) -> History:
    """Parse stored rows; `summary` stands for everything before them."""
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    messages = ModelMessagesTypeAdapter.validate_json("[" + ",".join(message for _, message in rows) + "]")
    history = History(messages, [row_id for row_id, _ in rows])
    if summary is not None:
        history.messages.insert(0, summary_message(summary))
        history.ids.insert(0, 0)
    return history


def dump(message: ModelMessage) -> str:
    """One message as JSON, without the instructions, which are made anew for each call."""
    from dataclasses import replace

    from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest

    if isinstance(message, ModelRequest) and message.instructions is not None:
        message = replace(message, instructions=None)
    return ModelMessagesTypeAdapter.dump_json([message]).decode()[1:-1]


def summary_message(summary: str) -> ModelMessage:
    """How a summary of earlier messages is put to the model."""
    from pydantic_ai.messages import ModelRequest, UserPromptPart

    text = f"[Summary of the earlier conversation]\n{summary}\n[End of summary]"
    return ModelRequest(parts=[UserPromptPart(text)])


def asked_again(messages: Sequence[str], texts: Sequence[str], edited: str | None, now: datetime) -> str:
    """The request that asks a turn's questions again, from all its model messages (JSON) and the texts its user wrote, in order.

    `edited` stands for the last of the texts; files that came along stay.
    """
    parts = [
        part
        for message in messages
        for part in json.loads(message)["parts"]
        if part["part_kind"] == "user-prompt" and part["content"] != DELETED
    ]
    if len(parts) < len(texts):
        parts = [json.loads(user_json(text, now))["parts"][0] for text in texts]
    parts = parts[: len(texts)]
    if edited is not None:
        parts[-1]["content"] = _reworded(parts[-1]["content"], texts[-1], edited)
    return json.dumps({"kind": "request", "parts": parts})


def _reworded(content: Any, old: str, new: str) -> Any:
    if isinstance(content, list):
        return [_reworded(content[0], old, new), *content[1:]]
    said = content.get("content", "") if isinstance(content, dict) else content
    if old and said.startswith(old):
        return new + said[len(old) :]
    # A message that was only files, or that called a skill: what was attached is told at its end.
    place = said.find("[Attached file: ")
    return new if place < 0 else f"{new}\n\n{said[place:]}"
