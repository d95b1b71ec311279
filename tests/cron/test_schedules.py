"""When schedules are due, against an oracle that walks every second's wall clock the slow way."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from starpod.cron.schedules import check, iter_due, next_due, parse_one_shot, upcoming
from starpod.cron.types import Cron, Interval, OneShot
from starpod.errors import InvalidInput

FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def first(expr: str, zone: str, after: str, count: int = 3) -> list[str]:
    due = iter_due(Cron(expr), zone, after=at(after))
    return [datetime.fromtimestamp(next(due), ZoneInfo(zone)).isoformat() for _ in range(count)]


@cache
def transitions() -> list[tuple[str, int]]:
    """(zone, first second of the new offset) for each jump of any zone from 2026 to 2030."""
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


def oracle(minutes: set[int], hours: set[int], zone: ZoneInfo, start: int, end: int) -> list[int]:
    """Due seconds of `minutes hours * * *` in (start, end], found by reading the wall clock minute by minute."""
    due: list[int] = []
    seen: set[datetime] = set()
    wall_before = datetime.fromtimestamp(start, zone).replace(tzinfo=None)
    for moment in range(start + 60, end + 1, 60):
        wall = datetime.fromtimestamp(moment, zone).replace(tzinfo=None, fold=0)
        skipped = wall_before + timedelta(minutes=1)
        is_due = wall.minute in minutes and wall.hour in hours
        if len(hours) == 24:
            is_due = wall.minute in minutes
        else:
            is_due = is_due and wall not in seen
            while skipped < wall:
                is_due = is_due or (skipped.minute in minutes and skipped.hour in hours)
                seen.add(skipped)
                skipped += timedelta(minutes=1)
        seen.add(wall)
        wall_before = wall
        if is_due:
            due.append(moment)
    return due


def test_every_jump_of_every_zone_agrees_with_reading_the_wall_clock() -> None:
    rng = random.Random(5)
    jumps = transitions()
    assert len(jumps) > 1000
    for name, jump in jumps:
        zone = ZoneInfo(name)
        start = (jump - 5 * 3600) // 60 * 60
        hour = datetime.fromtimestamp(jump, zone).hour
        for minutes, hours in (
            ({30}, {(hour + rng.randint(-2, 1)) % 24}),
            ({0, 15, 45}, {(hour - 1) % 24, hour}),
            (set(range(0, 60, 20)), set(range(24))),
        ):
            hour_field = "*" if len(hours) == 24 else ",".join(map(str, sorted(hours)))
            expr = f"{','.join(map(str, sorted(minutes)))} {hour_field} * * *"
            expected = oracle(minutes, hours, zone, start, jump + 5 * 3600)
            got = []
            for due in iter_due(Cron(expr), name, after=start):
                if due > jump + 5 * 3600:
                    break
                got.append(due)
            assert got == expected, (name, expr, jump)


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
