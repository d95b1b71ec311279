"""Conversations as text: for the record of a closed session, and for a model that looks for what is worth remembering. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starpod.memory.scan import disarmed
from starpod.sessions.types import Message, Session

EXPORT_MESSAGE_CHARS = 8_000
EXPORT_CHARS = 250_000
"""A memory file may have a megabyte; a character has four bytes at most."""
REVIEW_MESSAGE_BYTES = 1_000
REVIEW_BYTES = 30_000
SLUG_CHARS = 50
_LABELS = {"user": "User", "assistant": "Assistant", "tool_use": "Tool call", "tool_result": "Tool result"}


def export_name(session: Session) -> str:
    """The name of the memory file that a closed session goes to."""
    title = (session.title or "")[:SLUG_CHARS]
    slug = re.sub(r"[^\w]|_", "-", title.lower()).strip("-") or "session"
    # A file name has 255 bytes at most, and a title may be in any script.
    slug = slug.encode()[:150].decode(errors="ignore").strip("-")
    return f"memory/sessions/{slug}-{session.id[:8]}.md"


def export(session: Session, messages: Sequence[Message]) -> str:
    """A closed session as Markdown. Of a very long one the beginning is left out; what a memory may not hold is taken out."""
    blocks: list[str] = []
    room = EXPORT_CHARS
    for message in reversed(messages):
        block = f"**{_LABELS[message.role]}:** {_cut_chars(message.content, EXPORT_MESSAGE_CHARS)}"
        room -= len(block)
        if room < 0:
            blocks.append("[The beginning is left out.]")
            break
        blocks.append(block)
    head = [
        f"# {session.title or 'Conversation'}",
        f"- Date: {session.created_at[:10]}\n- Channel: {session.channel}\n- Messages: {len(messages)}"
        + (f"\n- Summary: {session.summary}" if session.summary else ""),
        "---",
    ]
    return disarmed("\n\n".join([*head, *reversed(blocks)]) + "\n")


def for_review(messages: Sequence[tuple[str, str]]) -> str:
    """(role, text) of each message as lines `[role] text`, long ones cut; of many the newest, up to 30,000 bytes."""
    lines: list[str] = []
    room = REVIEW_BYTES
    for role, text in reversed(messages):
        line = f"[{role}] {cut_bytes(text, REVIEW_MESSAGE_BYTES)}"
        room -= len(line.encode()) + 1
        if room < 0:
            break
        lines.append(line)
    return "\n".join(reversed(lines))


def exchange(asked: str, answered: str) -> str:
    """One line each of what was asked and answered, for the daily log."""
    return disarmed(f"User: {_line(asked)}\nAgent: {_line(answered)}")


def cut_bytes(text: str, limit: int) -> str:
    """The text up to `limit` bytes, cut between characters, with a mark when something was cut."""
    raw = text.encode(errors="replace")
    return text if len(raw) <= limit else raw[:limit].decode(errors="ignore") + "…"


def _line(text: str) -> str:
    return cut_bytes(" ".join(text.split()), 200)


def _cut_chars(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} [… {len(text) - limit} more characters]"
