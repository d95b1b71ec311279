"""What goes when a message is deleted: which rows, and how what the model is shown changes. Pure.

People's rows and the model's messages of a turn tell the same in two forms, in the same order; that is how one is found in the other.
A tool call and its result go together. A person's message leaves a mark in the model's history, for providers want somebody to be
answered; an answer leaves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starpod.agent.history import DELETED
from starpod.sessions.types import MessageRole

Part = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """A stored message of a turn."""

    id: int
    role: MessageRole
    content: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """Rows to delete, and the model's messages (row id to JSON) that change; None for one that goes."""

    message_ids: tuple[int, ...]
    changed: Mapping[int, str | None]


def erase(rows: Sequence[Row], model: Sequence[tuple[int, str]], message_ids: set[int]) -> Erasure:
    """What is left of a turn, its rows and the model's messages (id, JSON) both in order, without these messages."""
    doomed = _with_partners(rows, message_ids)
    if len(doomed) == len(rows):
        return Erasure(tuple(sorted(doomed)), {row_id: None for row_id, _ in model})
    messages: dict[int, Part] = {row_id: json.loads(text) for row_id, text in model}
    before = {row_id: json.dumps(message) for row_id, message in messages.items()}
    _forget_said(rows, messages, doomed)
    _forget_calls(rows, messages, doomed)
    _forget_asked(rows, messages, doomed)
    kept = _parted(messages)
    changed: dict[int, str | None] = {}
    for row_id, text in before.items():
        after = json.dumps(kept[row_id]) if row_id in kept else None
        if after != text:
            changed[row_id] = after
    return Erasure(tuple(sorted(doomed)), changed)


def _with_partners(rows: Sequence[Row], message_ids: set[int]) -> set[int]:
    """The messages with what each of them cannot do without: a tool call its result, a result its call."""
    doomed = set(message_ids)
    calls: dict[str, int] = {}
    for row in rows:
        if row.role == "tool_use":
            calls[json.loads(row.content)["id"]] = row.id
        elif row.role == "tool_result":
            # Some providers number their calls anew in each answer: a result belongs to the last call of its id.
            call = calls.get(json.loads(row.content)["tool_use_id"], row.id)
            if {row.id, call} & doomed:
                doomed |= {row.id, call}
    return doomed


def _forget_said(rows: Sequence[Row], messages: Mapping[int, Part], doomed: set[int]) -> None:
    answers = [message for message in messages.values() if message["kind"] == "response" and _text(message)]
    said = [row for row in rows if row.role == "assistant"]
    for row, message in _matched(said, answers, lambda row, message: _text(message) == row.content):
        if row.id in doomed:
            message["parts"] = [part for part in message["parts"] if part["part_kind"] != "text"]


def _forget_calls(rows: Sequence[Row], messages: Mapping[int, Part], doomed: set[int]) -> None:
    told = list(messages.values())
    calls = [(at, part) for at, message in enumerate(told) for part in message["parts"] if _is(part, "tool-call")]
    used = [row for row in rows if row.role == "tool_use"]
    for row, (at, call) in _matched(used, calls, lambda row, call: call[1]["tool_call_id"] in row.content):
        if row.id not in doomed:
            continue
        told[at]["parts"] = [part for part in told[at]["parts"] if part is not call]
        for message in told[at + 1 :]:
            own = next((part for part in message["parts"] if _returns(part, call["tool_call_id"])), None)
            if own is not None:
                message["parts"] = [part for part in message["parts"] if part is not own]
                break


def _forget_asked(rows: Sequence[Row], messages: Mapping[int, Part], doomed: set[int]) -> None:
    asked = [
        part
        for message in messages.values()
        for part in message["parts"]
        if _is(part, "user-prompt") and part["content"] != DELETED
    ]
    own = [row for row in rows if row.role == "user"]
    for row, part in _matched(own, asked, lambda row, part: row.content in str(part["content"])):
        if row.id in doomed:
            part["content"] = DELETED


def _matched(rows: Sequence[Row], found: Sequence[T], is_same: Callable[[Row, T], bool]) -> Iterator[tuple[Row, T]]:
    """Each row with its like: one by one where there are as many, else by what they say."""
    if len(rows) == len(found):
        yield from zip(rows, found, strict=True)
        return
    rest = list(found)
    for row in rows:
        place = next((index for index, each in enumerate(rest) if is_same(row, each)), None)
        if place is not None:
            yield row, rest[place]
            del rest[: place + 1]


def _says_something(message: Part) -> bool:
    return any(part["part_kind"] != "thinking" and part.get("content") != DELETED for part in message["parts"])


def _parted(messages: Mapping[int, Part]) -> dict[int, Part]:
    """What still says something. Where nothing else stands before an answer, a mark does: providers want answers to be asked for."""
    kept: dict[int, Part] = {}
    emptied: tuple[int, Part] | None = None
    last = "response"
    for row_id, message in messages.items():
        if not _says_something(message):
            emptied = (row_id, message) if message["kind"] == "request" else emptied
            continue
        if emptied is not None and last == message["kind"] == "response":
            kept[emptied[0]] = {**emptied[1], "parts": [{"part_kind": "user-prompt", "content": DELETED}]}
        kept[row_id], last, emptied = message, message["kind"], None
    return kept


def _text(message: Part) -> str:
    return "\n".join(part["content"] for part in message["parts"] if _is(part, "text") and part["content"])


def _is(part: Part, kind: str) -> bool:
    return bool(part["part_kind"] == kind)


def _returns(part: Part, call_id: str) -> bool:
    return part["part_kind"] in ("tool-return", "retry-prompt") and part.get("tool_call_id") == call_id
