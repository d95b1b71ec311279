"""When a schedule is due. Pure functions: times in, times out.

Cron fields are those of Debian's cron, with an optional field of seconds in front: day-of-week is 0 to 7 (0 and 7 are Sunday) or a
name, and when both days are restricted either may match. Daylight saving: a schedule that names hours follows the clock on the wall, so
a time that is left out runs at the first instant after the gap, and a time that comes twice runs the first time only. One that runs in
every hour follows elapsed time instead: nothing is missed or doubled while the wall clock jumps.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from starpod.cron.types import Cron, Interval, OneShot, Schedule
from starpod.errors import InvalidInput

NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
HINTS = {
    "second": "0 to 59",
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day-of-month": "1 to 31, but no later than the month ends, or L",
    "month": "1 to 12, or JAN to DEC",
    "day-of-week": "0 to 7, or SUN to SAT",
}
SHORTEST_INTERVAL_MS = 1000
LONGEST_INTERVAL_MS = 10 * 366 * 86_400_000
EVERY_HOUR = frozenset(range(24))
STEP_S = 48 * 3600
"""No clock is set twice within this time."""
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def next_due(schedule: Schedule, zone: str, *, after: int, anchor: int) -> int | None:
    """The first due second later than `after`, or None when there is none.

    `anchor` is a due time of the job's, or when it was made: intervals count from it, forward and back. Raises InvalidInput for what
    `check` refuses.
    """
    match schedule:
        case OneShot():
            at = parse_one_shot(schedule.at, zone)
            return at if at > after else None
        case Interval():
            every = max(1, schedule.every_ms // 1000)
            return anchor + every * ((after - anchor) // every + 1)
        case Cron():
            return next(iter_due(schedule, zone, after=after), None)


def iter_due(schedule: Cron, zone: str, *, after: int) -> Iterator[int]:
    """Due seconds of a cron expression later than `after`, in order, without end as long as there are any."""
    tz = find_zone(zone)
    expression = check_expression(schedule.expr)
    if _runs_every_hour(expression):
        yield from _iter_elapsed(expression, tz, after)
        return
    last = after
    for wall in CronSim(expression, datetime.fromtimestamp(after, tz).replace(tzinfo=None)):
        if (due := _instant(wall, tz)) > last:
            yield due
            last = due


def upcoming(schedule: Schedule, zone: str, *, now: int, count: int = 5) -> list[int]:
    """The next `count` due seconds from `now` on; fewer when the schedule ends before."""
    due: list[int] = []
    after = anchor = now
    for _ in range(count):
        following = next_due(schedule, zone, after=after, anchor=anchor)
        if following is None:
            break
        due.append(following)
        after = anchor = following
    return due


def check(schedule: Schedule, zone: str, *, now: int) -> None:
    """InvalidInput, naming the field, when the schedule cannot be read or would never be due."""
    match schedule:
        case OneShot():
            if parse_one_shot(schedule.at, zone) <= now:
                raise _bad("schedule.at", f"{schedule.at} lies in the past")
        case Interval():
            if not SHORTEST_INTERVAL_MS <= schedule.every_ms <= LONGEST_INTERVAL_MS:
                raise _bad("schedule.every_ms", "must be from 1000 (a second) to ten years")
        case Cron():
            find_zone(zone)
            if next_due(schedule, zone, after=now, anchor=now) is None:
                raise _bad("schedule.expr", f"{schedule.expr!r} never comes")


def parse_one_shot(text: str, zone: str) -> int:
    """The instant that `text` names. InvalidInput when it is no time, has no seconds, or does not exist in the zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _bad(
            "schedule.at", f"{text!r} is no time; write 2026-03-20T16:30:00 or 2026-03-20T16:30:00+01:00"
        ) from error
    if "T" not in text.upper() or text.upper().split("T")[1].count(":") < 2:
        raise _bad("schedule.at", f"{text!r} needs a time with seconds, e.g. 2026-03-20T16:30:00")
    if moment.tzinfo is None:
        tz = find_zone(zone)
        if _is_left_out(moment, tz):
            raise _bad("schedule.at", f"{text} does not exist in {zone}: the clock jumps over it")
        moment = moment.replace(tzinfo=tz, fold=0)
    try:
        return int(moment.timestamp())
    except (OverflowError, ValueError) as error:
        raise _bad("schedule.at", f"{text!r} is out of range") from error


@lru_cache(maxsize=512)
def check_expression(text: str) -> str:
    """The expression in plain fields: names such as `@daily` written out, `?` as `*`. InvalidInput when it cannot be read."""
    expression = text.strip()
    if expression.startswith("@"):
        if expression.lower() not in NAMES:
            raise _bad("schedule.expr", f"{text!r} is not known; use one of {', '.join(NAMES)}")
        return NAMES[expression.lower()]
    fields = expression.split()
    if len(fields) not in (5, 6):
        raise _bad(
            "schedule.expr",
            f"{text!r} has {len(fields)} fields; 5 are needed (minute hour day month weekday), or 6 with seconds first",
        )
    for day in (-3, -1):
        if fields[day] == "?":
            fields[day] = "*"
    expression = " ".join(fields)
    try:
        next(CronSim(expression, SOME_DAY), None)
    except (CronSimError, AssertionError, ValueError, OverflowError) as error:
        raise _bad("schedule.expr", f"{text!r}: {_explained(str(error))}") from error
    return expression


@lru_cache(maxsize=512)
def find_zone(name: str) -> ZoneInfo:
    """The IANA zone of that name. InvalidInput when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{name!r} is no time zone", fields={"timezone": "use an IANA name such as Europe/Rome"}
        ) from error


@lru_cache(maxsize=512)
def _runs_every_hour(expression: str) -> bool:
    return frozenset(CronSim(expression, SOME_DAY).hours) >= EVERY_HOUR


def _explained(error: str) -> str:
    """The library's error with what the field may hold."""
    name = error.removeprefix("Bad ")
    if name not in HINTS:
        return error or "cannot be read"
    return f"the {name} cannot be read; write {HINTS[name]}, as a number, a list (1,5), a range (1-5) or a step (*/5)"


def _iter_elapsed(expression: str, tz: ZoneInfo, after: int) -> Iterator[int]:
    """Due seconds of a schedule that runs in every hour: each time at which the wall clock shows what is named, however it got there."""
    start: int | None = after
    while start is not None:
        # A wall clock that keeps its offset; where it is set, a new walk begins.
        at, offset = start + 1, _offset(start + 1, tz)
        walls = CronSim(expression, datetime.fromtimestamp(start, UTC).replace(tzinfo=None) + offset)
        start = None
        for wall in walls:
            due = int((wall - offset).replace(tzinfo=UTC).timestamp())
            while at < due and start is None:
                step = min(due, at + STEP_S)
                if _offset(step, tz) != offset:
                    start = _jump(at, step, tz) - 1
                at = step
            if start is not None:
                break
            yield due


def _instant(wall: datetime, tz: ZoneInfo) -> int:
    """When the clock on the wall shows `wall` for the first time, or jumps over it."""
    moment = wall.replace(tzinfo=tz, fold=0)
    if not _is_left_out(wall, tz):
        return int(moment.timestamp())
    # Read with the offset from before the jump it lies behind the jump, with the one from after it lies before.
    return _jump(int(wall.replace(tzinfo=tz, fold=1).timestamp()), int(moment.timestamp()), tz)


def _jump(early: int, late: int, tz: ZoneInfo) -> int:
    """The first second in (early, late] at which the clock is set; they must lie so near that it is set only once."""
    before = _offset(early, tz)
    while late - early > 1:
        middle = (early + late) // 2
        if _offset(middle, tz) == before:
            early = middle
        else:
            late = middle
    return late


def _is_left_out(wall: datetime, tz: ZoneInfo) -> bool:
    return wall.replace(tzinfo=tz, fold=0).astimezone(UTC).astimezone(tz).replace(tzinfo=None) != wall.replace(fold=0)


def _offset(moment: int, tz: ZoneInfo) -> timedelta:
    return datetime.fromtimestamp(moment, tz).utcoffset() or timedelta()


def _bad(field: str, reason: str) -> InvalidInput:
    return InvalidInput(f"The schedule cannot be used: {reason}", fields={field: reason})
