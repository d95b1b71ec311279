"""Reads when and what from a request such as "in 20 minutes to stretch" or "to call Ann tomorrow at 9". Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

_UNIT_S = {"second": 1, "minute": 60, "min": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
_UNIT = r"(?P<unit>second|minute|min|hour|day|week)s?"
_AMOUNT = r"(?P<amount>\d{1,5}|an?|one|half an)"
_CLOCK = r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?\s*(?P<half>am|pm)?(?:\s*o'?clock)?"
_IN = rf"in\s+{_AMOUNT}\s+{_UNIT}"
_EVERY = rf"every\s+(?:(?P<amount>\d{{1,5}})\s+)?{_UNIT}"
_DAILY = rf"(?:every day|daily)\s+at\s+{_CLOCK}"
_AT = rf"(?:(?P<day>today|tomorrow)\s+)?at\s+{_CLOCK}(?:\s+(?P<late>today|tomorrow))?"


@dataclass(frozen=True, slots=True)
class Reminder:
    """`schedule` is a job's schedule as an object, `text` the same in one line, `when` as people say it."""

    what: str
    when: str
    schedule: Mapping[str, str | int]
    text: str
    once: bool


def parse_reminder(request: str, now: datetime) -> Reminder | None:
    """The reminder that `request` asks for, None when it does not say when. `now` is aware and local."""
    text = " ".join(request.split())
    for form in (_DAILY, _EVERY, _IN, _AT):
        for order in (
            rf"(?P<when>{form}),?\s+(?:to|that|about|of)?\s*(?P<what>\S.*)",
            rf"(?:to|that|about|of)?\s*(?P<what>\S.*?),?\s+(?P<when>{form})",
        ):
            if (match := re.fullmatch(order, text, re.IGNORECASE)) and (reminder := _reminder(form, match, now)):
                return reminder
    return None


def _reminder(form: str, match: re.Match[str], now: datetime) -> Reminder | None:
    what, when = match["what"], match["when"].lower()
    if form == _EVERY:
        every_s = int(match["amount"] or 1) * _UNIT_S[match["unit"].lower()]
        if every_s < 60:
            return None
        return Reminder(
            what, when, {"kind": "interval", "every_ms": every_s * 1_000}, f"every {every_s // 60}m", once=False
        )
    if form == _IN:
        unit_s = _UNIT_S[match["unit"].lower()]
        amount = match["amount"].lower()
        delay_s = unit_s // 2 if amount == "half an" else unit_s * (int(amount) if amount.isdigit() else 1)
        return _once(what, when, now + timedelta(seconds=delay_s))
    clock = _clock(match)
    if clock is None:
        return None
    hour, minute = clock
    if form == _DAILY:
        expression = f"{minute} {hour} * * *"
        return Reminder(what, when, {"kind": "cron", "expr": expression}, expression, once=False)
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    day = (match["day"] or match["late"] or "").lower()
    if day == "today" and moment <= now:
        return None
    return _once(what, when, moment + timedelta(days=1) if day == "tomorrow" or moment <= now else moment)


def _once(what: str, when: str, moment: datetime) -> Reminder:
    at = moment.isoformat(timespec="seconds")
    return Reminder(what, f"{when} ({moment:%Y-%m-%d %H:%M})", {"kind": "one_shot", "at": at}, at, once=True)


def _clock(match: re.Match[str]) -> tuple[int, int] | None:
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), (match["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    return (hour, minute) if hour < 24 and minute < 60 else None
