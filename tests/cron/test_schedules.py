"""When schedules are due, against an oracle that walks every second's wall clock the slow way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from starpod.cron.schedules import check, iter_due, next_due, parse_one_shot, upcoming
from starpod.cron.types import Cron, Interval, OneShot
from starpod.errors import InvalidInput

FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2032, 1, 1, tzinfo=UTC)


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def first(expr: str, zone: str, after: str, count: int = 3) -> list[str]:
    due = iter_due(Cron(expr), zone, after=at(after))
    return [datetime.fromtimestamp(next(due), ZoneInfo(zone)).isoformat() for _ in range(count)]


@cache
def transitions() -> list[tuple[str, int]]:
    """(zone, first second of the new offset) for each jump of any zone from 2026 to 2031."""
    found = []
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        moment, step = FIRST, timedelta(days=7)
        while moment < LAST:
            if moment.astimezone(zone).utcoffset() != (moment + step).astimezone(zone).utcoffset():
                early, late = int(moment.timestamp()), int((moment + step).timestamp())
                before = datetime.fromtimestamp(early, zone).utcoffset()
                while late - early > 1:
                    middle = (early + late) // 2
                    if datetime.fromtimestamp(middle, zone).utcoffset() == before:
                        early = middle
                    else:
                        late = middle
                found.append((name, late))
            moment += step
    return found


@dataclass(frozen=True)
class Fields:
    """A cron expression as what may stand in each field; days and months None for any. `hours` of all 24 is any."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None = None
    months: frozenset[int] | None = None
    weekdays: frozenset[int] | None = None

    @property
    def text(self) -> str:
        def field(numbers: frozenset[int] | None) -> str:
            return "*" if numbers is None or len(numbers) == 24 else ",".join(map(str, sorted(numbers)))

        fields = [self.minutes, self.hours, self.days, self.months, self.weekdays]
        return " ".join(map(field, fields if self.seconds == {0} else [self.seconds, *fields]))

    def has(self, wall: datetime) -> bool:
        """Whether the minute that the wall clock shows is named."""
        day, weekday = (
            self.days is None or wall.day in self.days,
            self.weekdays is None or wall.isoweekday() % 7 in self.weekdays,
        )
        is_day = day or weekday if self.days is not None and self.weekdays is not None else day and weekday
        is_month = self.months is None or wall.month in self.months
        return wall.minute in self.minutes and wall.hour in self.hours and is_day and is_month


def walked(zone: ZoneInfo, start: int, end: int) -> list[tuple[int, datetime]]:
    """Each minute in [start, end] and what the wall clock shows then."""
    moments = range(start, end + 1, 60)
    return [(moment, datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)) for moment in moments]


def oracle(fields: Fields, walk: list[tuple[int, datetime]]) -> list[int]:
    """Due seconds after the first minute of a walk, found by reading the wall clock minute by minute."""
    due: set[int] = set()
    seen = {walk[0][1]}
    before = walk[0][1]
    for moment, wall in walk[1:]:
        is_new = wall not in seen or len(fields.hours) == 24
        if fields.has(wall) and is_new:
            due |= {moment + second for second in fields.seconds}
        left_out = before + timedelta(minutes=1)
        while left_out < wall and len(fields.hours) < 24:
            if fields.has(left_out) and left_out not in seen:
                due.add(moment)
            seen.add(left_out)
            left_out += timedelta(minutes=1)
        seen.add(wall)
        before = wall
    return sorted(due)


def some_fields(rng: random.Random, near: datetime) -> Iterator[Fields]:
    """Expressions that name minutes around a wall-clock time, the simple ones first."""
    zero, every = frozenset({0}), frozenset(range(24))
    hour = near.hour
    yield Fields(zero, frozenset({30}), frozenset({(hour + rng.randint(-2, 1)) % 24}))
    yield Fields(zero, frozenset({0, 15, 45}), frozenset({(hour - 1) % 24, hour}))
    yield Fields(zero, frozenset(range(0, 60, 20)), every)
    for _ in range(3):
        near_hours = frozenset((hour + rng.randint(-3, 3)) % 24 for _ in range(rng.randint(1, 4)))
        days = [near + timedelta(days=rng.randint(-1, 1)) for _ in range(2)]
        yield Fields(
            frozenset(rng.sample(range(60), 2)) if rng.random() < 0.3 else zero,
            frozenset(rng.sample(range(60), rng.randint(1, 5))),
            every if rng.random() < 0.3 else near_hours,
            frozenset(day.day for day in days) if rng.random() < 0.4 else None,
            frozenset(day.month for day in days) if rng.random() < 0.2 else None,
            frozenset(day.isoweekday() % 7 for day in days) if rng.random() < 0.4 else None,
        )


def test_every_jump_of_every_zone_agrees_with_reading_the_wall_clock() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    jumps = transitions()
    assert len(jumps) > 1000
    plans: dict[tuple[Any, ...], list[tuple[Fields, list[int]]]] = {}
    for name, jump in jumps:
        zone = ZoneInfo(name)
        start, end = (jump - 5 * 3600) // 60 * 60, (jump + 5 * 3600) // 60 * 60
        offsets = [datetime.fromtimestamp(moment, zone).utcoffset() for moment in (start, jump - 1, jump, end)]
        # Zones whose clocks show the same are asked the same, so that the slow reading is done once.
        if (key := (jump, *offsets)) not in plans:
            walk = walked(zone, start, end)
            near = datetime.fromtimestamp(jump, zone)
            plans[key] = [(fields, oracle(fields, walk)) for fields in some_fields(rng, near)]
        for fields, expected in plans[key]:
            due = iter_due(Cron(fields.text), name, after=start + 59)
            got = list(takewhile(lambda moment: moment < end + 60, due))  # noqa: B023 - used up at once
            assert got == expected, (name, fields.text, jump, seed)


def test_each_due_time_is_what_follows_the_one_before() -> None:
    """A scheduler asks anew after each run: it must walk the same times as one long walk."""
    rng = random.Random(9)
    for name, jump in rng.sample(transitions(), 60):
        for expr in ("*/7 * * * *", "5,35 0-4 * * *", "30 2 * * *", "0 */6 * * *"):
            walk = iter_due(Cron(expr), name, after=jump - 8 * 3600)
            after = jump - 8 * 3600
            for _ in range(25):
                due = next_due(Cron(expr), name, after=after, anchor=after)
                assert due == next(walk)
                assert due is not None and due > after
                # Asking at any second in between gives the same answer.
                middle = rng.randint(after, due - 1)
                assert next_due(Cron(expr), name, after=middle, anchor=middle) == due
                after = due


def test_a_walk_from_afar_comes_to_the_same_times() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    for name, jump in rng.sample(transitions(), 100):
        start, end = jump - 30 * 3600, jump + 30 * 3600
        day = datetime.fromtimestamp(jump - 1, ZoneInfo(name))
        for hours in ("*", "0-3,23"):
            expr = f"{rng.randint(0, 59)} {hours} {day.day} {day.month} *"
            near, far = (
                [due for due in takewhile(end.__gt__, iter_due(Cron(expr), name, after=after)) if due > start]
                for after in (start, start - rng.randint(1, 300) * 86_400)
            )
            assert near == far, (name, expr, seed)
            assert near


def test_a_time_in_the_gap_runs_right_after_it_and_one_in_the_overlap_once() -> None:
    assert first("30 2 * * *", "Europe/Rome", "2026-03-28T12:00:00", 2) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]
    assert first("30 2 * * *", "Europe/Rome", "2026-10-24T12:00:00", 2) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]
    # Inside the repeated hour the next run still lies ahead.
    inside = int(datetime(2026, 10, 25, 1, 10, tzinfo=UTC).timestamp())
    assert next_due(Cron("30 2 * * *"), "Europe/Rome", after=inside, anchor=inside) == at(
        "2026-10-26T02:30:00", "Europe/Rome"
    )


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        ("0 9 * * 1", "2026-01-05T09:00:00+00:00"),
        ("0 9 * * MON", "2026-01-05T09:00:00+00:00"),
        ("0 9 * * 0", "2026-01-04T09:00:00+00:00"),
        ("0 9 * * 7", "2026-01-04T09:00:00+00:00"),
        ("0 9 * * mon-fri", "2026-01-01T09:00:00+00:00"),
        ("15 30 9 * * *", "2026-01-01T09:30:15+00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00+00:00"),
        ("0 0 L * *", "2026-01-31T00:00:00+00:00"),
        ("0 0 ? * 1", "2026-01-05T00:00:00+00:00"),
        ("0 0 13 * 5", "2026-01-02T00:00:00+00:00"),
        ("*/10 * * * * *", "2026-01-01T00:00:10+00:00"),
        ("@yearly", "2027-01-01T00:00:00+00:00"),
        ("@monthly", "2026-02-01T00:00:00+00:00"),
        ("@weekly", "2026-01-04T00:00:00+00:00"),
        ("@daily", "2026-01-02T00:00:00+00:00"),
        ("@HOURLY", "2026-01-01T01:00:00+00:00"),
        ("0 0 1 jan *", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_cron_expressions_as_people_write_them(expr: str, expected: str) -> None:
    assert first(expr, "UTC", "2026-01-01T00:00:00", 1) == [expected]


@pytest.mark.parametrize(
    "expr",
    [
        *("", "x", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("*/0 * * * *", "5-1 * * * *", "0 0 31 2 *", "@reboot", "@", "a b c d e", "-1 * * * *", "1,,2 * * * *"),
        *("٣ * * * *", "* * * * ,", "L * * * *", "*/x * * * *"),
    ],
)
def test_an_expression_that_cannot_be_read_says_so(expr: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(Cron(expr), "UTC", now=at("2026-01-01T00:00:00"))
    assert list(caught.value.fields) == ["schedule.expr"]


def test_what_cannot_be_read_is_named_with_what_may_stand_there() -> None:
    with pytest.raises(InvalidInput, match=r"the hour cannot be read; write 0 to 23, as a number, a list"):
        check(Cron("0 24 * * *"), "UTC", now=0)
    with pytest.raises(InvalidInput, match=r"the day-of-month cannot be read; write 1 to 31, but no later than the"):
        check(Cron("0 0 30 2 *"), "UTC", now=0)


def test_one_shots() -> None:
    now = at("2026-03-01T00:00:00")
    assert parse_one_shot("2026-03-20T16:30:00+01:00", "UTC") == at("2026-03-20T15:30:00")
    assert parse_one_shot("2026-03-20T16:30:00Z", "Asia/Tokyo") == at("2026-03-20T16:30:00")
    assert parse_one_shot("2026-03-20T16:30:00", "Asia/Tokyo") == at("2026-03-20T07:30:00")
    assert parse_one_shot("2026-10-25T02:30:00", "Europe/Rome") == at("2026-10-25T00:30:00")
    assert next_due(OneShot("2026-03-20T16:30:00Z"), "UTC", after=now, anchor=now) == at("2026-03-20T16:30:00")
    assert next_due(OneShot("2026-02-20T16:30:00Z"), "UTC", after=now, anchor=now) is None
    for bad in (
        "2026-03-29T02:30:00",
        "2026-03-20T16:30",
        "2026-03-20",
        "tomorrow",
        "",
        "2026-13-01T00:00:00",
        "2026-02-20T16:30:00",
    ):
        with pytest.raises(InvalidInput):
            check(OneShot(bad), "Europe/Rome", now=now)


def test_intervals_count_from_the_due_time_before() -> None:
    assert next_due(Interval(60_000), "UTC", after=1000, anchor=1000) == 1060
    assert next_due(Interval(60_000), "UTC", after=1299, anchor=1000) == 1300
    assert next_due(Interval(60_000), "UTC", after=1300, anchor=1000) == 1360
    assert next_due(Interval(1500), "UTC", after=10, anchor=10) == 11
    for bad in (0, 999, -5, 10**15):
        with pytest.raises(InvalidInput):
            check(Interval(bad), "UTC", now=0)


def test_upcoming_gives_the_next_five_or_what_there_is() -> None:
    now = at("2026-01-01T00:00:00")
    assert upcoming(Interval(3_600_000), "UTC", now=now) == [now + 3600 * step for step in range(1, 6)]
    assert upcoming(OneShot("2026-01-02T00:00:00Z"), "UTC", now=now) == [now + 86400]
    assert len(upcoming(Cron("@daily"), "Europe/Rome", now=now)) == 5


def test_an_unknown_zone_says_so() -> None:
    for name in ("Mars/Olympus", "", "../etc/passwd", "Europe"):
        with pytest.raises(InvalidInput) as caught:
            check(Cron("@daily"), name, now=0)
        assert list(caught.value.fields) == ["timezone"]
