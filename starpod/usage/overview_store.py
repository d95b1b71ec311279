"""Puts the sums of one period together."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import peewee

from starpod.usage import report_store
from starpod.usage.days import DAY_S, QUARTER_S, offsets_between, unit_for
from starpod.usage.types import PERIODS, CostOverview, DayCosts, Span, Totals

QUARTERS_A_DAY = DAY_S // QUARTER_S
EPOCH = date(1970, 1, 1)
LAST_DAY = (date.max - EPOCH).days


def overview(
    connection: peewee.Database, period: str, zone: ZoneInfo, user_id: str | None, now: datetime
) -> CostOverview:
    """The costs of a user, or (None) of everybody, in a known period up to now, by the days of `zone`."""
    days = PERIODS[period]
    start = None if days is None else now - timedelta(days=days)
    by_model = report_store.sums_by_model(connection, user_id, Span(start))
    previous = None
    if days is not None and start is not None:
        before = report_store.sums_by_model(connection, user_id, Span(start - timedelta(days=days), start))
        previous = sum((totals for _, totals in before), Totals())
    return CostOverview(
        period,
        zone.key,
        sum((totals for _, totals in by_model), Totals()),
        previous,
        tuple(report_store.sums_by_user(connection, user_id, start)),
        tuple(by_model),
        tuple(_by_day(connection, user_id, start, now, zone)),
        tuple(report_store.tool_counts(connection, user_id, start)),
        tuple(report_store.dearest_sessions(connection, user_id, start)),
        tuple(report_store.sums_by_job(connection, user_id, start)),
    )


def _by_day(
    connection: peewee.Database, user_id: str | None, start: datetime | None, now: datetime, zone: ZoneInfo
) -> list[DayCosts]:
    days: dict[int, dict[str, float]] = {}
    begin = report_store.first_quarter(connection, user_id) if start is None else int(start.timestamp()) // QUARTER_S
    if begin is None:
        return []
    offsets = offsets_between(begin - begin % QUARTERS_A_DAY, now, zone)
    unit = unit_for(offsets)
    if start is not None:
        # Days are made of whole units, so what lies before the first whole one is of one day.
        first_day = (start.astimezone(zone).date() - EPOCH).days
        days[first_day] = dict(report_store.costs_before(connection, user_id, start, unit))
    for day, model, cost in report_store.costs_by_day(connection, user_id, offsets, unit, start):
        models = days.setdefault(day, {})
        models[model] = models.get(model, 0.0) + cost
    return [
        DayCosts(
            (EPOCH + timedelta(days=day)).isoformat(),
            tuple(sorted(models.items(), key=lambda each: (-each[1], each[0]))),
        )
        for day, models in sorted(days.items())
        if models and 0 <= day <= LAST_DAY
    ]
