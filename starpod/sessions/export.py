"""A conversation as a file, JSON or Markdown, made in pieces so that a long one never stands in memory whole.

The JSON holds every row of every branch. The Markdown reads from top to bottom: the branch that is shown, then the other versions.
Nothing that was said can pass for structure: texts are block quotes, tools are fenced with more backticks than they hold.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Literal
from urllib.parse import quote

from pydantic_core import to_json

from starpod.sessions.types import ExportedFile, ExportedTurn, Message, Session

Format = Literal["markdown", "json"]
PAGE = 100
SPEAKERS = {"user": "You", "assistant": "Agent"}

Pages = Callable[[int], Awaitable[Sequence[Message]]]
"""The messages behind a row's id, by ascending id; none at the end."""


def file_name(session: Session, form: Format) -> str:
    """The value of Content-Disposition: a name in ASCII, and one with the title's own letters."""
    extension = "md" if form == "markdown" else "json"
    title = re.sub(r"[^\w.-]+", "-", session.title or "").strip("-.")[:80]
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", title).strip("-.") or f"session-{session.id[:8]}"
    named = quote(f"{title or plain}.{extension}")
    return f"attachment; filename=\"{plain}.{extension}\"; filename*=UTF-8''{named}"


async def as_json(
    session: Session, turns: Sequence[ExportedTurn], files: Sequence[ExportedFile], pages: Pages
) -> AsyncIterator[bytes]:
    """`{"session", "turns", "attachments", "messages"}`; tool rows have their content as JSON values under `data`."""
    head = {"session": session, "turns": [asdict(turn) for turn in turns], "attachments": [asdict(f) for f in files]}
    yield to_json(head, inf_nan_mode="null")[:-1] + b',"messages":['
    is_first = True
    async for page in _each(pages):
        encoded = await asyncio.to_thread(lambda rows: b",".join(to_json(_row(row)) for row in rows), page)
        yield encoded if is_first else b"," + encoded
        is_first = False
    yield b"]}\n"


async def as_markdown(session: Session, turns: Sequence[ExportedTurn], pages: Pages) -> AsyncIterator[bytes]:
    """The branch that is shown, with tools, times and usage; then every other version under a heading of its own."""
    known = {turn.id: turn for turn in turns}
    hidden = {turn.id for turn in turns if not turn.is_active}
    yield _heading(session, turns).encode()
    for wants_hidden in (False, True) if hidden else (False,):
        last: str | None = None
        async for page in _each(pages):
            pieces = []
            for message in page:
                if (message.turn_id in hidden) is not wants_hidden:
                    continue
                if message.turn_id != last:
                    pieces.append(_between(known.get(last or ""), known.get(message.turn_id or ""), wants_hidden))
                    last = message.turn_id
                pieces.append(_message(message))
            if pieces:
                yield "".join(pieces).encode()
        yield _between(known.get(last or ""), None, False).encode()


def fenced(text: str, language: str = "") -> str:
    """A code block that the text cannot end: its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{_lines(text)}\n{fence}\n"


def quoted(text: str) -> str:
    """A block quote: every line of the text carries the mark."""
    return "\n".join(f"> {line}".rstrip() for line in _lines(text).split("\n")) + "\n"


def _heading(session: Session, turns: Sequence[ExportedTurn]) -> str:
    cost = sum(turn.cost_usd for turn in turns)
    lines = [
        f"# {_inline(session.title or 'Conversation')}",
        "",
        f"- Session: {session.id}",
        f"- Channel: {session.channel}",
        f"- Begun: {session.created_at}",
        f"- Last message: {session.last_message_at}",
        f"- Messages: {session.message_count}",
        f"- Cost: {cost:.6f} USD",
    ]
    if session.summary:
        lines.append(f"- Summary: {_inline(session.summary)}")
    return "\n".join(lines) + "\n"


def _between(before: ExportedTurn | None, after: ExportedTurn | None, is_hidden: bool) -> str:
    """What stands where one turn ends and another begins: usage of the first, a heading for another version."""
    text = ""
    if before is not None:
        state = "" if before.state == "completed" else f"{before.state}, "
        fresh = before.input_tokens + before.cache_read + before.cache_write
        text += (
            f"\n_{state}{_inline(before.model or 'no model')}, {fresh} tokens in, {before.output_tokens} out, "
            f"{before.cost_usd:.6f} USD_\n"
        )
        if before.error:
            text += f"\n_Error: {_inline(before.error)}_\n"
    if after is not None and is_hidden:
        text += f"\n---\n\n## Another version ({after.created_at})\n"
    return text


def _message(message: Message) -> str:
    if message.role in SPEAKERS:
        return f"\n### {SPEAKERS[message.role]}, {message.timestamp}\n\n{quoted(message.content)}"
    try:
        row = json.loads(message.content)
        if message.role == "tool_use":
            shown = json.dumps(row["input"], ensure_ascii=False, indent=2)
            return f"\n### Tool call {_inline(str(row['name']))}, {message.timestamp}\n\n{fenced(shown, 'json')}"
        kind = "Tool error" if row["is_error"] else "Tool result"
        return f"\n### {kind}, {message.timestamp}\n\n{fenced(str(row['content']))}"
    except (ValueError, KeyError, TypeError):
        return f"\n### {message.role}, {message.timestamp}\n\n{fenced(message.content)}"


def _row(message: Message) -> dict[str, object]:
    row: dict[str, object] = asdict(message)
    if message.role in ("tool_use", "tool_result"):
        try:
            row["data"] = json.loads(message.content)
        except ValueError:
            row["data"] = None
    return row


async def _each(pages: Pages) -> AsyncIterator[Sequence[Message]]:
    after = 0
    while page := await pages(after):
        yield page
        after = page[-1].id


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _inline(text: str) -> str:
    """One line in which no character means markup."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", " ".join(text.split()))
