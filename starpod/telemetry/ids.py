"""Which request and which turn the running code belongs to. A task has those of the code that started it."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
turn_id: ContextVar[str] = ContextVar("turn_id", default="")
GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")


def choose_request_id(given: str | None) -> str:
    """The id that a proxy or client gave, when it is harmless in a log; else a new one."""
    return given if given and GIVEN.fullmatch(given) else secrets.token_hex(8)
