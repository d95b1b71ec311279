"""SQL of budgets: what was spent since a moment, users' own limits, and which notices were given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import peewee

from starpod.auth.store import record_event
from starpod.auth.types import Actor
from starpod.clock import format_time
from starpod.usage.budget_types import LEVELS, Limit, UserBudget
from starpod.usage.days import DAY_S, UNITS
from starpod.usage.store import EVERYBODY

JOB = (
    "SELECT (SELECT coalesce(sum(cost_usd), 0) FROM usage_sessions WHERE job = ? AND day >= ?) + "
    "(SELECT coalesce(sum(cost_usd), 0) FROM usage_stats JOIN session_metadata ON session_metadata.id = session_id "
    "WHERE triggered_by = ? AND timestamp >= ? AND timestamp < ?)"
)


def spent(connection: peewee.Database, limits: Sequence[Limit]) -> list[float]:
    """USD spent against each limit since it began."""
    return [_spent(connection, limit) for limit in limits]


def user_budgets(connection: peewee.Database) -> dict[str, UserBudget]:
    """Users with limits of their own, by id."""
    rows = connection.execute_sql("SELECT user_id, daily_usd, monthly_usd FROM user_budgets")
    return {user_id: UserBudget(daily, monthly) for user_id, daily, monthly in rows}


def set_user_budget(
    connection: peewee.Database, user_id: str, budget: UserBudget, *, now: datetime, actor: Actor
) -> None:
    """Give a user limits of their own; none at all takes them back."""
    connection.execute_sql("DELETE FROM user_budgets WHERE user_id = ?", (user_id,))
    if budget != UserBudget():
        connection.execute_sql(
            "INSERT INTO user_budgets (user_id, daily_usd, monthly_usd) VALUES (?, ?, ?)",
            (user_id, budget.daily_usd, budget.monthly_usd),
        )
    detail = f"{user_id}: day {budget.daily_usd}, month {budget.monthly_usd}"
    record_event(connection, "budget_changed", actor.user_id, detail, actor.ip_address, now)


def note(connection: peewee.Database, limit: Limit, level: int) -> bool:
    """Remember that a notice of this level, and of those below it, is given; False when it was given before."""
    is_new = False
    for each in LEVELS:
        if each <= level:
            cursor = connection.execute_sql(
                "INSERT INTO budget_notices (scope, subject, period, starts_at, level) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (limit.scope, limit.subject, limit.period, format_time(limit.starts_at), each),
            )
            is_new = cursor.rowcount > 0
    return is_new


def _spent(connection: peewee.Database, limit: Limit) -> float:
    second = int(limit.starts_at.timestamp())
    if limit.scope == "job":
        day = -(-second // DAY_S)
        moments = (
            format_time(limit.starts_at),
            format_time(datetime.fromtimestamp(day * DAY_S, limit.starts_at.tzinfo)),
        )
        row = connection.execute_sql(JOB, (limit.subject, day, limit.subject, *moments)).fetchone()
    else:
        # Days begin on a quarter of an hour in every zone, most on an hour, and in UTC on a day.
        unit = max(unit for unit in UNITS if second % unit == 0)
        row = connection.execute_sql(
            "SELECT coalesce(sum(cost_usd), 0) FROM usage_sums WHERE unit = ? AND user_id = ? AND bucket >= ?",
            (unit, limit.subject if limit.scope == "user" else EVERYBODY, second // unit),
        ).fetchone()
    return float(row[0])
