"""Which days a question names: "on 3 May", "in March", "last week", "gestern", "2026-03-05", "3月5日". Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from starpod.memory import date_words as words
from starpod.memory.scripts import fold

MOST_CHARS = 2_000
MOST_TIMES = 4
Days = tuple[date, date]
Given = Mapping[str, str]
Reader = Callable[[Given, date], list[Days]]


@dataclass(frozen=True, slots=True)
class Time:
    """A time that a text names: first and last ISO day, and the characters that name it.

    A vague one ("Monday's", "in summer") makes answers of these days better; an exact one makes others worse.
    """

    first: str
    last: str
    start: int
    end: int
    is_exact: bool = True


def times_named(text: str, today: date) -> list[Time]:
    """The times in `text`, at most four; without a year the latest one that is not ahead."""
    text = text[:MOST_CHARS]
    folded = fold(text)
    found: list[Time] = []
    for pattern, read, is_exact in _PATTERNS:
        for match in pattern.finditer(folded):
            if any(match.start() < each.end and each.start < match.end() for each in found):
                continue
            given = {name.rstrip("_"): value for name, value in match.groupdict().items() if value}
            if _is_another_word(given, text[match.start() : match.end()], folded[match.end() :]):
                continue
            try:
                spans = read(given, today)
            except (ValueError, OverflowError):
                continue
            if len(found) >= MOST_TIMES:
                return found[:MOST_TIMES]
            found += [
                Time(first.isoformat(), last.isoformat(), *match.span(), is_exact)
                for first, last in dict.fromkeys(spans)
            ]
    return found[:MOST_TIMES]


def days_named(text: str, today: date) -> list[tuple[str, str]]:
    """First and last ISO day of each exact time that `text` names."""
    return [(time.first, time.last) for time in times_named(text, today) if time.is_exact]


def _is_another_word(given: Given, written: str, after: str) -> bool:
    """Whether "May I" or "Jan's" only looks like a month."""
    if given.get("month") not in words.AMBIGUOUS or len(written.split()) != 1:
        return False
    return not written[:1].isupper() or _NO_MONTH.match(after) is not None


def _number(text: str) -> int:
    """A number in digits, words or Chinese digits up to 99."""
    if text.isdigit():
        return int(text)
    if text in words.NUMBERS:
        return words.NUMBERS[text]
    tens, ten, ones = text.rpartition("十")
    digit = words.CJK_DIGITS
    return digit[ones or words.ZERO] + (digit[tens or "一"] * 10 if ten else 0)


def _month(given: Given) -> int:
    name = given["month"]
    return words.MONTHS.get(name) or words.THAI_MONTHS.get(name) or _number(name)


def _year(given: Given, today: date) -> int:
    """The year that is given, as 2026, 26, "last year" or of the Buddhist era; 0 when none is."""
    if which := given.get("year_word"):
        return today.year - (0 if re.fullmatch(words.THIS, which) else 1)
    year = int(given.get("year", 0))
    if 0 < year < 100:
        year += 2000
    return year - 543 if year > 2400 else year


def _day(given: Given, today: date) -> list[Days]:
    year, month = _year(given, today), _month(given)
    first, last = _number(given["day"]), _number(given.get("last_day") or given["day"])
    start = date(year or today.year, month, first)
    if not year and start > today:
        start = date(today.year - 1, month, first)
    return [(start, date(start.year, month, max(first, last)))]


def _either_day(given: Given, today: date) -> list[Days]:
    """12/5/2026 is a day of May for some and of December for others."""
    found = []
    for day, month in ((given["one"], given["other"]), (given["other"], given["one"])):
        if 1 <= int(month) <= 12 and 1 <= int(day) <= 31:
            found += _day({**given, "day": day, "month": month}, today)
    return found


def _whole_month(given: Given, today: date) -> list[Days]:
    month = _month(given)
    year = _year(given, today) or (today.year if month <= today.month else today.year - 1)
    length = calendar.monthrange(year, month)[1]
    first, last = {"early": (1, 12), "mid": (9, 21), "late": (19, length)}.get(_part(given), (1, length))
    return [(date(year, month, first), date(year, month, last))]


def _part(given: Given) -> str:
    part = given.get("part", "")
    for name, pattern in _PARTS.items():
        if part and re.fullmatch(pattern, part):
            return name
    return ""


def _nth(given: Given, today: date) -> list[Days]:
    """The second Thursday, or the last week, of a month."""
    ((first, last),) = _whole_month({**given, "part": ""}, today)
    place = words.ORDINALS[given["nth"]]
    if "weekday" not in given:
        start = last - timedelta(days=6) if place < 0 else first + timedelta(days=7 * (place - 1))
        return [(start, min(start + timedelta(days=6), last))]
    days = [first + timedelta(days=each) for each in range((last - first).days + 1)]
    day = [each for each in days if each.weekday() == words.WEEKDAYS[given["weekday"]]][
        place if place < 0 else place - 1
    ]
    return [(day, day)]


def _weekday(given: Given, today: date) -> list[Days]:
    name = given["weekday"]
    number = words.WEEKDAYS[name] if name in words.WEEKDAYS else words.CJK_WEEKDAYS[name]
    return _back((today.weekday() - number) % 7 or 7, today)


def _back(days: int, today: date) -> list[Days]:
    return [(today - timedelta(days=days),) * 2]


def _ago(given: Given, today: date) -> list[Days]:
    amount, length = _number(given["amount"]), _LENGTHS[_unit_named(given["unit"])]
    moment = today - timedelta(days=amount * length)
    slack = timedelta(days={1: 0, 7: 4, 30: 16, 365: 190}[length])
    return [(moment - slack, min(moment + slack, today))]


def _span(given: Given, today: date) -> list[Days]:
    days = _number(given["amount"]) * _LENGTHS[_unit_named(given["unit"])]
    return [(today - timedelta(days=days), today)]


def _unit_named(text: str) -> str:
    if text.startswith(("day", "tag", "jour", "dia")):
        return "day"
    return next(unit for unit, names in words.UNITS.items() if text.startswith(tuple(names.split())))


def _unit(which: str, unit: str, today: date) -> list[Days]:
    is_this = which == "this"
    monday = today - timedelta(days=today.weekday())
    match unit:
        case "week":
            start = monday if is_this else monday - timedelta(days=7)
            return [(start, start + timedelta(days=6))]
        case "weekend":
            start = monday + timedelta(days=5 if is_this else -2)
            return [(start, start + timedelta(days=1))]
        case "month":
            end = today if is_this else today.replace(day=1) - timedelta(days=1)
            return [(end.replace(day=1), end)]
        case _:
            year = today.year if is_this else today.year - 1
            return [(date(year, 1, 1), date(year, 12, 31))]


def _named_unit(given: Given, today: date) -> list[Days]:
    which = "this" if re.fullmatch(words.THIS, given.get("which", "last")) else "last"
    return _unit(which, _unit_named(given["unit"]), today)


def _season(given: Given, today: date) -> list[Days]:
    """Three months from December, March, June or September on; the latest that has begun."""
    month = {0: 12, 1: 3, 2: 6, 3: 9}[words.SEASONS[given["season"]]]
    year = _year(given, today) or today.year
    start = date(year, month, 1)
    if start > today or (
        given.get("which") and not re.fullmatch(words.THIS, given["which"]) and (today - start).days < 92
    ):
        start = date(year - 1, month, 1)
    end = date(start.year + (month == 12), (month + 2) % 12 or 12, 1)
    return [(start, end.replace(day=calendar.monthrange(end.year, end.month)[1]))]


def _whole_year(given: Given, today: date) -> list[Days]:
    year = int(given["year"])
    return [(date(year, 1, 1), date(year, 12, 31))]


def _days_back(first: int, last: int) -> Reader:
    return lambda given, today: [(today - timedelta(days=first), today - timedelta(days=last))]


def _calendar_unit(which: str, unit: str) -> Reader:
    return lambda given, today: _unit(which, unit, today)


def _any(names: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, names), key=len, reverse=True))


_LENGTHS = {"day": 1, "week": 7, "month": 30, "year": 365, "weekend": 7}
_PARTS = {
    "early": r"early|(?:the )?(?:start|beginning) of|anfang|debut|principios de",
    "mid": r"mid|(?:the )?middle of|mitte|mi",
    "late": r"late|(?:the )?end of|ende|fin|finales de",
}
_MONTH = rf"(?P<month>{_any(words.MONTHS)})"
_WEEKDAY = rf"(?P<weekday>{_any(words.WEEKDAYS)})"
_NTH = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|\.|er|º)?"
_TO = r"(?:\s*(?:-|\u2013|to|until|till|and|bis|und|au|et|al|y)\s*(?P<last_day>[0-3]?\d)(?:st|nd|rd|th|\.)?)?"
_YEAR = r"(?:,?\s+(?:of\s+|de\s+)?(?:(?P<year>(?:19|20)\d\d)|(?P<year_word>last|this|letztes|dieses)\s+(?:year|jahres?)))?\b"
_OF = r"(?:of\s+|de\s+|du\s+|d'\s*)?"
_AMOUNT = rf"(?P<amount>\d{{1,3}}|{_any(words.NUMBERS)})"
_SPANS = rf"(?P<unit>(?:day|tag|jour|dia|{_any(' '.join(words.UNITS.values()).split())})(?:e?[sn])?)"
_UNIT = rf"(?P<unit>{_any(' '.join(words.UNITS.values()).split())})"
_BEFORE = r"(?:in|im|last|since|during|en|au|в|في)\s+"
_SEASON = rf"(?P<season>{_any(words.SEASONS)})"
_DIGIT = r"\d{1,2}|[一二三四五六七八九十]{1,3}"
_CJK_YEAR = r"(?:(?:(?P<year>(?:19|20)\d\d)\s?[年년]|(?P<year_word>今年|去年|昨年|올해|작년)の?)\s?)?"
_NO_MONTH = re.compile(r"['\u2019]s\b|\s+(?:i|we|you|he|she|it|they|be|have)\b")


def _patterns() -> Iterable[tuple[str, Reader, bool]]:
    """Pattern, how to read it, and whether it is exact. What an earlier one took is not read again."""
    yield r"\b(?P<year>(?:19|20)\d\d)[-/.](?P<month>0?[1-9]|1[0-2])[-/.](?P<day>[0-3]?\d)\b", _day, True
    yield r"\b(?P<year>(?:19|20)\d\d)-(?P<month>0[1-9]|1[0-2])\b", _whole_month, True
    yield r"\b(?P<day>[0-3]?\d)\.\s?(?P<month>0?[1-9]|1[0-2])\.(?:\s?(?P<year>(?:20)?\d\d)\b)?(?!\d)", _day, True
    yield r"\b(?P<one>[0-3]?\d)[/-](?P<other>[0-3]?\d)[/-](?P<year>(?:19|20)\d\d)\b", _either_day, True
    yield r"\bon\s+(?P<one>[0-3]?\d)/(?P<other>[0-3]?\d)\b", _either_day, True
    cjk_day = rf"(?P<month>{_DIGIT})\s?[月월]\s?(?P<day>{_DIGIT})\s?[日号號일]"
    yield _CJK_YEAR + cjk_day, _day, True
    yield rf"{_CJK_YEAR}(?P<month>{_DIGIT})\s?[月월](?!曜)", _whole_month, True
    thai = rf"(?P<month>{_any(words.THAI_MONTHS)})(?:\s?(?P<year>25\d\d|20\d\d))?"
    yield rf"(?P<day>[0-3]?\d)\s?{thai}", _day, True
    yield thai, _whole_month, True
    yield rf"\b(?P<nth>{_any(words.ORDINALS)})\s+(?:week|{_WEEKDAY})\s+(?:of|in)\s+{_MONTH}{_YEAR}", _nth, True
    yield rf"\b{_NTH}{_TO}\s+{_OF}{_MONTH}\b\.?{_YEAR}", _day, True
    yield rf"\b{_MONTH}\.?\s+(?:the\s+)?{_NTH}(?!\d|:){_TO}{_YEAR}", _day, True
    yield rf"\b(?:(?P<part>{'|'.join(_PARTS.values())})[ -])?(?:{_BEFORE})?{_MONTH}\b{_YEAR}", _whole_month, True
    yield r"\b(?:the\s+)?day before yesterday\b", _days_back(2, 2), True
    for days, names in words.BACK.items():
        yield rf"\b(?:{_any(names.split())})\b", _days_back(days, days), True
    yield r"\bthis (?:morning|evening)\b", _days_back(0, 0), True
    yield r"\blast night\b", _days_back(1, 0), True
    for days, names in words.CJK_BACK.items():
        yield _any(names.split()), _days_back(days, days), True
    for (which, unit), names in words.CJK_UNITS.items():
        ahead_of_weekday = r"\s?の?[月火水木金土日]曜|[一二三四五六日天]"
        yield rf"(?:{_any(names.split())})(?!{ahead_of_weekday})", _calendar_unit(which, unit), True
    yield r"(?:上周|上週|先週の?|周|週|星期|礼拜|지난주 ?)(?P<weekday>[一二三四五六日天])", _weekday, True
    yield r"(?P<weekday>[月火水木金土日])曜|(?P<weekday_>[월화수목금토일])요일", _weekday, True
    yield rf"\b{_AMOUNT}\s+{_SPANS}\s+(?:ago|earlier|geleden)\b", _ago, True
    yield rf"\b(?:vor|il y a|hace)\s+{_AMOUNT}\s+{_SPANS}\b", _ago, True
    yield r"\ba fortnight ago\b", _days_back(18, 10), True
    yield rf"\b(?:{words.LAST})\s+{_AMOUNT}\s+{_SPANS}\b", _span, True
    yield rf"\b(?P<which>{words.LAST}|{words.THIS})\s+{_UNIT}\b", _named_unit, True
    yield rf"\b{_UNIT}\s+(?:{words.OVER})\b", _named_unit, True
    yield rf"\b(?:{words.LAST}|{words.THIS}|on|am|le|el)\s+{_WEEKDAY}\b", _weekday, True
    yield rf"\b{_WEEKDAY}\s+(?:{words.OVER})\b", _weekday, True
    yield rf"\b{_WEEKDAY}(?:'s)?\b", _weekday, False
    year = r"(?:\s+(?:of\s+)?(?P<year>(?:19|20)\d\d))"
    which_one = rf"(?:(?P<which>{words.LAST}|{words.THIS})|in|im|during|over|en|au)\s+(?:the\s+)?(?:early\s+|late\s+)?"
    yield rf"\b{which_one}{_SEASON}\b{year}?", _season, True
    yield rf"\b{_SEASON}{year}\b", _season, True
    yield r"\b(?:in|im jahre?|en|в)\s+(?P<year>(?:19|20)\d\d)\b", _whole_year, True
    yield r"\b(?:recently|lately|the other day|neulich|kurzlich|recemment)\b", _days_back(21, 0), False


def _compiled() -> tuple[tuple[re.Pattern[str], Reader, bool], ...]:
    return tuple((re.compile(pattern), read, is_exact) for pattern, read, is_exact in _patterns())


_PATTERNS = _compiled()
