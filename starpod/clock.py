"""Time as the gateway sees it: aware UTC for people and storage, a monotonic count for durations. Tests pass a fake."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

import tzlocal


class Clock(Protocol):
    """What every service asks for the time."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow; for durations and limits."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@lru_cache(maxsize=1)
def local_zone() -> str:
    """The IANA name of the machine's time zone, `UTC` when it has none or one that nobody knows."""
    try:
        return ZoneInfo(tzlocal.get_localzone_name() or "UTC").key
    except (LookupError, ValueError, OSError):
        return "UTC"


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, e.g. `2026-03-20T16:33:19.123456+00:00`: sorts as text in order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def parse_time(text: str) -> datetime:
    """The aware instant that `format_time` wrote; a text without a zone is taken as UTC. ValueError when it is no time."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
