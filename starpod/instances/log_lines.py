"""Reads log lines in the forms in which gateways write them."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

LEVELS = {"error": "error", "critical": "error", "fatal": "error", "warn": "warn", "warning": "warn", "info": "info"}
LEVELS |= {"debug": "debug", "trace": "debug"}
PREFIX = re.compile(
    r"(?:(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\d{9,10}(?:\.\d+)?)\s+)?"
    r"\[?(?P<level>[A-Za-z]+)\]?:?\s+(?P<message>.*)",
    re.DOTALL,
)


def parse_line(line: str) -> dict[str, Any]:
    """`<time> LEVEL message`, `[LEVEL] message`, `LEVEL message` or a JSON object; anything else is info at time 0."""
    line = line.rstrip("\r\n")
    if line.startswith("{"):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and isinstance(entry.get("message"), str):
            level = LEVELS.get(str(entry.get("level", "info")).lower(), "info")
            at = entry.get("timestamp")
            known = isinstance(at, int | float) and not isinstance(at, bool)
            return entry | {"timestamp": at if known else 0, "level": level}
    found = PREFIX.fullmatch(line)
    if found is None or (level_name := LEVELS.get(found["level"].lower())) is None:
        return {"timestamp": 0, "level": "info", "message": line}
    return {"timestamp": _seconds(found["time"]), "level": level_name, "message": found["message"]}


def _seconds(text: str | None) -> int:
    if text is None:
        return 0
    if text[:9].isdigit():
        return int(float(text))
    try:
        return int(datetime.fromisoformat(text.replace(",", ".")).timestamp())
    except (ValueError, OverflowError):
        return 0
