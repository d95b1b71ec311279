"""SQL of the cost reports: sums from the rolled-up tables, and from the rows themselves only where a period begins within one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import peewee

from starpod.clock import format_time
from starpod.usage.days import DAY_S, END_OF_TIME, QUARTER_S
from starpod.usage.store import EVERYBODY, MODEL, SAFE_SUMS
from starpod.usage.types import SessionCosts, Span, ToolCounts, Totals

COLUMNS = "input_tokens, output_tokens, cache_read, cache_write, cost_usd, calls"
SUMMED = "sum(input_tokens), sum(output_tokens), sum(cache_read), sum(cache_write), sum(cost_usd), sum(calls)"
LAST_MOMENT = "9999-12-31T23:59:59"
TOP_SESSIONS = 20

# Whole UTC days, and the rows of the pieces at both ends.
BY_MODEL = (
    f"SELECT model, {SUMMED} FROM (SELECT model, {COLUMNS} FROM usage_sums "
    f"WHERE unit = {DAY_S} AND user_id = ? AND bucket >= ? AND bucket < ? "
    f"UNION ALL SELECT {MODEL}, {SAFE_SUMS} FROM usage_stats WHERE timestamp >= ? AND timestamp < ? {{mine}} GROUP BY 1 "
    f"UNION ALL SELECT {MODEL}, {SAFE_SUMS} FROM usage_stats WHERE timestamp >= ? AND timestamp < ? {{mine}} GROUP BY 1) "
    "AS part GROUP BY model"
)
BY_USER = (
    f"SELECT user_id, {SUMMED} FROM (SELECT user_id, {COLUMNS} FROM usage_sums WHERE unit = {DAY_S} AND {{whose}} AND bucket >= ? "
    f"UNION ALL SELECT user_id, {SAFE_SUMS} FROM usage_stats WHERE timestamp >= ? AND timestamp < ? {{mine}} GROUP BY 1) "
    "AS part GROUP BY user_id"
)
BY_DAY = (
    f"SELECT (bucket * ? + ?) / {DAY_S}, model, sum(cost_usd) FROM usage_sums "
    "WHERE unit = ? AND user_id = ? AND bucket >= ? AND bucket < ? GROUP BY 1, 2"
)
# Whole UTC days, and the rows of the first one if the period begins within it.
BY_SESSION = (
    f"(SELECT session_id, user_id, job, {COLUMNS} FROM usage_sessions WHERE day >= ? {{mine}} "
    f"UNION ALL SELECT coalesce(session_id, ''), usage_stats.user_id, triggered_by, {SAFE_SUMS} FROM usage_stats "
    "LEFT JOIN session_metadata ON session_metadata.id = session_id WHERE timestamp >= ? AND timestamp < ? {mine_of_rows} "
    "GROUP BY 1, 2) AS part"
)
MINE = "AND user_id = ?"
DEAREST = (
    f"SELECT top.*, title FROM (SELECT session_id, user_id, {SUMMED} FROM {{source}} WHERE session_id != '' "
    f"GROUP BY session_id, user_id ORDER BY sum(cost_usd) DESC, session_id LIMIT {TOP_SESSIONS}) AS top "
    "LEFT JOIN session_metadata ON session_metadata.id = top.session_id"
)
# Over all time an index alone finds them: a third of the time at 40,000 sessions.
DEAREST_EVER = (
    f"SELECT part.session_id, part.user_id, {SUMMED}, title FROM "
    "(SELECT session_id, user_id FROM usage_sessions INDEXED BY usage_sessions_cost WHERE session_id > '' {mine} "
    f"GROUP BY session_id, user_id ORDER BY sum(cost_usd) DESC, session_id LIMIT {TOP_SESSIONS}) AS top "
    "CROSS JOIN usage_sessions AS part ON part.session_id = top.session_id AND part.user_id = top.user_id "
    "LEFT JOIN session_metadata ON session_metadata.id = top.session_id GROUP BY part.session_id, part.user_id"
)


def sums_by_model(connection: peewee.Database, user_id: str | None, span: Span) -> list[tuple[str, Totals]]:
    """Sums of a span by model, the dearest first."""
    first, head = _ceiling(span.start, DAY_S)
    if span.end is None:
        last, tail = END_OF_TIME, (LAST_MOMENT, LAST_MOMENT)
    else:
        last = int(span.end.timestamp()) // DAY_S
        tail = (_moment(last * DAY_S), format_time(span.end))
    mine = [] if user_id is None else [user_id]
    sql = BY_MODEL.format(mine=MINE if mine else "")
    params = [user_id or EVERYBODY, first, last, *head, *mine, *tail, *mine]
    return _dearest_first([(_text(row[0]), _totals(row[1:])) for row in connection.execute_sql(sql, params)])


def costs_by_day(
    connection: peewee.Database,
    user_id: str | None,
    offsets: list[tuple[int, int, int]],
    unit: int,
    start: datetime | None,
) -> list[tuple[int, str, float]]:
    """(days since 1970, model, USD) from the first whole unit behind `start` on; `offsets` as `offsets_between` gives them."""
    rows: list[tuple[int, str, float]] = []
    begin, _ = _ceiling(start, unit)
    per_unit = unit // QUARTER_S
    for first, last, offset in offsets:
        # Clocks change on a full unit: a long unit is only taken for zones whose clocks stay.
        params = (unit, offset, unit, user_id or EVERYBODY, max(begin, first // per_unit), last // per_unit)
        rows += connection.execute_sql(BY_DAY, params).fetchall()
    return rows


def costs_before(
    connection: peewee.Database, user_id: str | None, start: datetime, unit: int
) -> list[tuple[str, float]]:
    """(model, USD) from `start` to the first whole unit behind it."""
    _, head = _ceiling(start, unit)
    mine = [] if user_id is None else [user_id]
    sql = f"SELECT {MODEL}, {SAFE_SUMS} FROM usage_stats WHERE timestamp >= ? AND timestamp < ? {MINE if mine else ''} GROUP BY 1"
    return [(row[0], _number(row[5])) for row in connection.execute_sql(sql, [*head, *mine])]


def first_quarter(connection: peewee.Database, user_id: str | None) -> int | None:
    """When anything was booked first."""
    found: tuple[int | None] = connection.execute_sql(
        "SELECT min(bucket) FROM usage_sums WHERE unit = ? AND user_id = ?", (QUARTER_S, user_id or EVERYBODY)
    ).fetchone()
    return found[0]


def sums_by_user(connection: peewee.Database, user_id: str | None, start: datetime | None) -> list[tuple[str, Totals]]:
    """Sums by user, the dearest first."""
    day, head = _ceiling(start, DAY_S)
    mine = [] if user_id is None else [user_id]
    sql = BY_USER.format(whose="user_id = ?" if mine else "user_id > ''", mine=MINE if mine else "")
    rows = connection.execute_sql(sql, [*mine, day, *head, *mine])
    return _dearest_first([(_text(row[0]), _totals(row[1:])) for row in rows])


def sums_by_job(connection: peewee.Database, user_id: str | None, start: datetime | None) -> list[tuple[str, Totals]]:
    """Sums by the job that began a session, the dearest first."""
    source, params = _by_session(user_id, start)
    rows = connection.execute_sql(
        f"SELECT job, {SUMMED} FROM {source} WHERE job IS NOT NULL GROUP BY job",
        params,
    )
    return _dearest_first([(_text(row[0]), _totals(row[1:])) for row in rows])


def dearest_sessions(connection: peewee.Database, user_id: str | None, start: datetime | None) -> list[SessionCosts]:
    """The sessions that cost most, the dearest first."""
    params: list[object]
    if start is None:
        sql, params = (
            DEAREST_EVER.format(mine=MINE if user_id is not None else ""),
            [] if user_id is None else [user_id],
        )
    else:
        source, params = _by_session(user_id, start)
        sql = DEAREST.format(source=source)
    rows = connection.execute_sql(sql, params)
    found = [SessionCosts(_text(row[0]), _text(row[1]), row[8], _totals(row[2:8])) for row in rows]
    return sorted(found, key=lambda each: (-each.totals.total_cost_usd, each.session_id))


def tool_counts(connection: peewee.Database, user_id: str | None, start: datetime | None) -> list[ToolCounts]:
    """How often each tool was called since the quarter of an hour in which `start` lies, the most used first."""
    rows = connection.execute_sql(
        "SELECT tool_name, sum(invocations), sum(errors) FROM usage_tools WHERE user_id = ? AND quarter >= ? "
        "GROUP BY tool_name ORDER BY 2 DESC, 1",
        (user_id or EVERYBODY, 0 if start is None else int(start.timestamp()) // QUARTER_S),
    )
    return [ToolCounts(*row) for row in rows]


def _by_session(user_id: str | None, start: datetime | None) -> tuple[str, list[object]]:
    day, head = _ceiling(start, DAY_S)
    mine = [] if user_id is None else [user_id]
    source = BY_SESSION.format(mine=MINE if mine else "", mine_of_rows="AND usage_stats.user_id = ?" if mine else "")
    return source, [day, *mine, *head, *mine]


def _ceiling(start: datetime | None, unit_s: int) -> tuple[int, tuple[str, str]]:
    """The first whole unit from `start` on, and from when to when the rows before it lie."""
    if start is None:
        return 0, (LAST_MOMENT, LAST_MOMENT)
    unit = -int(-start.timestamp() // unit_s)
    return unit, (format_time(start), _moment(unit * unit_s))


def _moment(second: int) -> str:
    return format_time(datetime.fromtimestamp(second, UTC))


def _totals(row: Sequence[float | None]) -> Totals:
    fresh, output, read, write, cost, calls = (_number(value) for value in row)
    return Totals(cost, int(fresh + read + write), int(output), int(read), int(write), int(calls))


def _text(value: object) -> str:
    """A name, also where something has written bytes that are no text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _number(value: float | None) -> float:
    return 0.0 if value is None else float(value)


def _dearest_first(rows: list[tuple[str, Totals]]) -> list[tuple[str, Totals]]:
    return sorted(rows, key=lambda row: (-row[1].total_cost_usd, str(row[0])))
