"""Where the days of a time zone begin, daylight saving time included. Pure arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from starpod.errors import InvalidInput

QUARTER_S = 900
DAY_S = 86_400
UNITS = (QUARTER_S, 3600, DAY_S)
"""Seconds of the buckets that usage is summed in, ascending."""
END_OF_TIME = 2**40


def find_zone(name: str | None) -> ZoneInfo:
    """The zone of an IANA name, UTC for None. Raises InvalidInput."""
    if name is None:
        return ZoneInfo("UTC")
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:  # names such as `..`, `Europe` and `Nowhere/At_All`
        raise InvalidInput(
            f"{name[:80]!r} is no time zone", {"tz": "use an IANA name such as Europe/Berlin"}
        ) from error


def offsets_between(first: int, end: datetime, zone: ZoneInfo) -> list[tuple[int, int, int]]:
    """Stretches of the same offset from quarter `first` on, for ever: (first quarter, quarter after the last, seconds east of UTC)."""

    def offset_at(quarter: int) -> int:
        offset = datetime.fromtimestamp(quarter * QUARTER_S, UTC).astimezone(zone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0

    last = max(first, int(end.timestamp()) // QUARTER_S)
    step = DAY_S // QUARTER_S
    found: list[tuple[int, int, int]] = []
    begin, current = first, offset_at(first)
    for quarter in range(first, last, step):
        following = min(quarter + step, last)
        if offset_at(following) != current:
            low, high = quarter, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_at(middle) == current else (low, middle)
            found.append((begin, high, current))
            begin, current = high, offset_at(following)
    return [*found, (begin, END_OF_TIME, current)]


def unit_for(offsets: list[tuple[int, int, int]]) -> int:
    """The largest unit of which the days of these stretches are made."""
    return max(unit for unit in UNITS if all(offset % unit == 0 for _, _, offset in offsets))
