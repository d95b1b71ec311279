"""Which days a question names: "on 3 May", "in March", "last week", "yesterday", "2026-03-05". Pure."""

from __future__ import annotations

import calendar
import re
from datetime import date, timedelta

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
_DAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "couple of": 2}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_NTH = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)\d\d))?"
_AMOUNT = r"(?P<amount>\d{1,3}|couple of|an?|one|two|three|four|five|six|seven)"
_PATTERNS = (
    r"(?P<year>(?:19|20)\d\d)[-/.](?P<month>0?[1-9]|1[0-2])[-/.](?P<day>[0-3]?\d)",
    r"(?P<year>(?:19|20)\d\d)-(?P<month>0[1-9]|1[0-2])",
    rf"{_NTH}\s+(?:of\s+)?(?P<month>{_MONTH})\b\.?{_YEAR}",
    rf"(?P<month>{_MONTH})\.?\s+(?:the\s+)?{_NTH}(?!\d){_YEAR}",
    rf"(?:(?P<part>early|mid|late|start of|beginning of|end of)[ -])?(?:in\s+|last\s+|since\s+)?(?P<month>{_MONTH})\b{_YEAR}",
    r"(?P<word>today|yesterday|day before yesterday|this morning|tonight)",
    r"(?P<which>last|this|past|previous)\s+(?P<unit>week|month|year|weekend)",
    rf"{_AMOUNT}\s+(?P<unit>day|week|month|year)s?\s+ago",
    r"(?:last|past|previous)\s+(?P<span>\d{1,3}|couple of|few|two|three|four|five|six|seven)\s+(?P<unit>day|week|month)s?",
    rf"(?:(?:last|on|this|past)\s+)(?P<weekday>{'|'.join(_DAYS)})\b",
    r"\bin\s+(?P<year>(?:19|20)\d\d)\b",
)
_ANY = tuple(re.compile(rf"\b(?:{pattern})", re.IGNORECASE) for pattern in _PATTERNS)
_AMBIGUOUS = frozenset({"may", "mar", "march", "sun", "dec", "jan"})
Days = tuple[date, date]


def days_named(text: str, today: date) -> list[tuple[str, str]]:
    """First and last ISO day of each time that `text` names; without a year the latest one that is not ahead."""
    found: list[tuple[str, str]] = []
    taken: list[tuple[int, int]] = []
    for pattern in _ANY:
        for match in pattern.finditer(text[:2_000]):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            if (days := _days(match, today)) is not None:
                taken.append(match.span())
                found.append((days[0].isoformat(), days[1].isoformat()))
    return found[:4]


def _days(match: re.Match[str], today: date) -> Days | None:
    given = {name: value.lower() for name, value in match.groupdict().items() if value}
    try:
        if "month" in given:
            return _calendar(given, match[0], today)
        if "word" in given:
            back = {"yesterday": 1, "day before yesterday": 2}.get(given["word"], 0)
            return (today - timedelta(days=back),) * 2
        if "weekday" in given:
            back = (today.weekday() - _DAYS[given["weekday"]]) % 7 or 7
            return (today - timedelta(days=back),) * 2
        if "amount" in given or "span" in given:
            return _ago(given, today)
        if "unit" in given:
            return _unit(given, today)
        year = int(given["year"])
        return date(year, 1, 1), date(year, 12, 31)
    except (ValueError, OverflowError):
        return None


def _calendar(given: dict[str, str], text: str, today: date) -> Days | None:
    name = given["month"]
    month = int(name) if name.isdigit() else _MONTHS[name]
    bare = len(text.split()) == 1
    # "may" and "march" are also other words; alone they count only as people write names.
    if bare and name in _AMBIGUOUS and not text[:1].isupper():
        return None
    year = int(given.get("year") or 0)
    if "day" in given:
        day = int(given["day"])
        moment = date(year or today.year, month, day)
        if not year and moment > today:
            moment = date(today.year - 1, month, day)
        return moment, moment
    if not year:
        year = today.year if month <= today.month else today.year - 1
    last = calendar.monthrange(year, month)[1]
    first_day, last_day = 1, last
    match given.get("part"):
        case "early" | "start of" | "beginning of":
            last_day = 12
        case "mid":
            first_day, last_day = 9, 21
        case "late" | "end of":
            first_day = 19
    return date(year, month, first_day), date(year, month, last_day)


def _ago(given: dict[str, str], today: date) -> Days:
    word = given.get("amount") or given["span"]
    amount = int(word) if word.isdigit() else _NUMBERS.get(word, 3)
    length = {"day": 1, "week": 7, "month": 30, "year": 365}[given["unit"]]
    start = today - timedelta(days=amount * length)
    if "span" in given:
        return start, today
    slack = timedelta(days={1: 0, 7: 4, 30: 16, 365: 190}[length])
    return start - slack, min(start + slack, today)


def _unit(given: dict[str, str], today: date) -> Days:
    is_this = given["which"] == "this"
    monday = today - timedelta(days=today.weekday())
    match given["unit"]:
        case "week":
            start = monday if is_this else monday - timedelta(days=7)
            return start, start + timedelta(days=6)
        case "weekend":
            start = monday + timedelta(days=5 if is_this else -2)
            return start, start + timedelta(days=1)
        case "month":
            end = today if is_this else today.replace(day=1) - timedelta(days=1)
            return end.replace(day=1), end
        case _:
            year = today.year if is_this else today.year - 1
            return date(year, 1, 1), date(year, 12, 31)
