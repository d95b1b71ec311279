"""Records of the notifications domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["cron_complete", "budget_notice", "config_rejected", "delivery"]


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell. `title` is short, `text` has at most 500 characters; `source` names what happened, which is told once only.

    `whole` is the text uncut, for channels outside; None when it is `text`. News of the kind `delivery` stay in the gateway.
    """

    kind: Kind
    title: str
    text: str
    success: bool
    source: str
    session_id: str = ""
    whole: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """A piece of news as one person has it. `created_at` is RFC 3339 in UTC."""

    id: int
    kind: Kind
    title: str
    text: str
    success: bool
    session_id: str
    created_at: str
    is_read: bool
