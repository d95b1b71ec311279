"""Prompt files that the agent follows by itself: HEARTBEAT.md, BOOTSTRAP.md, BOOT.md. What says nothing is never sent to a model."""

from __future__ import annotations

from pathlib import Path


def read_prompt(path: Path) -> str:
    """What a prompt file asks for; empty when it has nothing but headings, comments and blank lines, or cannot be read."""
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except OSError:
        return ""
    return text.strip() if has_content(text) else ""


def has_content(text: str) -> bool:
    """Whether a prompt file says anything beside headings, HTML comments, rules, empty list items and blank lines."""
    text = text.removeprefix("\ufeff")
    while (start := text.find("<!--")) >= 0:
        end = text.find("-->", start)
        text = text[:start] + (text[end + 3 :] if end >= 0 else "")
    lines = (line.strip() for line in text.splitlines())
    return any(line.strip("-*+_=` []xX\t") for line in lines if not line.startswith("#"))
