"""SQL that keeps sums beside the usage rows, in the same transaction, so that a report over millions of rows reads thousands.

`usage_sums` sums by user and model and by quarter of an hour (every time zone's days are made of whole ones), hour and UTC day; its user ''
is everybody. `usage_sessions` sums by UTC day, session and user. `usage_tools` counts tool calls by quarter of an hour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import peewee

from starpod.usage.days import DAY_S, QUARTER_S, UNITS

EVERYBODY = ""
UNKNOWN_MODEL = "unknown"
LARGEST_COST = 1e9

SUMS = "input_tokens = {t}.input_tokens + excluded.input_tokens, output_tokens = {t}.output_tokens + excluded.output_tokens, " \
    "cache_read = {t}.cache_read + excluded.cache_read, cache_write = {t}.cache_write + excluded.cache_write, " \
    "cost_usd = {t}.cost_usd + excluded.cost_usd, calls = {t}.calls + excluded.calls"  # fmt: skip
COLUMNS = "input_tokens, output_tokens, cache_read, cache_write, cost_usd, calls"
BUCKETS = (
    f"INSERT INTO usage_sums (unit, user_id, bucket, model, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1) "
    f"ON CONFLICT (unit, user_id, bucket, model) DO UPDATE SET {SUMS.format(t='usage_sums')}"
)
SESSIONS = (
    f"INSERT INTO usage_sessions (day, session_id, user_id, job, {COLUMNS}) "
    "VALUES (?, ?, ?, (SELECT triggered_by FROM session_metadata WHERE id = ?), ?, ?, ?, ?, ?, 1) "
    f"ON CONFLICT (day, session_id, user_id) DO UPDATE SET {SUMS.format(t='usage_sessions')}"
)
TOOLS = (
    "INSERT INTO usage_tools (user_id, quarter, tool_name, invocations, errors) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (user_id, quarter, tool_name) DO UPDATE SET invocations = usage_tools.invocations + excluded.invocations, "
    "errors = usage_tools.errors + excluded.errors"
)


def _safe(column: str, largest: str = "1e15") -> str:
    """A number of a row, 0 where something else stands there."""
    return f"CASE WHEN typeof({column}) IN ('integer', 'real') AND {column} BETWEEN 0 AND {largest} THEN {column} ELSE 0 END"


SAFE_SUMS = (
    f"sum({_safe('input_tokens')}), sum({_safe('output_tokens')}), sum({_safe('cache_read')}), sum({_safe('cache_write')}), "
    f"sum({_safe('cost_usd', '1e9')}), count(*)"
)
# Text that is no time gives NULL, and its row is left out of all sums.
SECOND = "CAST(strftime('%s', timestamp) AS INTEGER)"
MODEL = f"coalesce(nullif(CAST(model AS TEXT), ''), '{UNKNOWN_MODEL}')"
QUARTERS_OF_ROWS = (
    f"INSERT INTO usage_sums (unit, user_id, bucket, model, {COLUMNS}) "
    f"SELECT {QUARTER_S}, user_id, {SECOND} / {QUARTER_S}, {MODEL}, {SAFE_SUMS} "
    f"FROM usage_stats WHERE id > ? AND {SECOND} >= 0 GROUP BY 2, 3, 4 "
    f"ON CONFLICT (unit, user_id, bucket, model) DO UPDATE SET {SUMS.format(t='usage_sums')}"
)
SESSIONS_OF_ROWS = (
    f"INSERT INTO usage_sessions (day, session_id, user_id, job, {COLUMNS}) "
    f"SELECT {SECOND} / {DAY_S}, coalesce(session_id, ''), user_id, "
    f"(SELECT triggered_by FROM session_metadata WHERE session_metadata.id = usage_stats.session_id), {SAFE_SUMS} "
    f"FROM usage_stats WHERE id > ? AND {SECOND} >= 0 GROUP BY 1, 2, 3 "
    f"ON CONFLICT (day, session_id, user_id) DO UPDATE SET {SUMS.format(t='usage_sessions')}"
)
SUM_OF_SUMS = "sum(input_tokens), sum(output_tokens), sum(cache_read), sum(cache_write), sum(cost_usd), sum(calls)"
EVERYBODYS = (
    f"INSERT INTO usage_sums (unit, user_id, bucket, model, {COLUMNS}) "
    f"SELECT unit, '', bucket, model, {SUM_OF_SUMS} FROM usage_sums WHERE unit = {QUARTER_S} AND user_id != '' GROUP BY 3, 4"
)
LARGER_UNITS = (
    f"INSERT INTO usage_sums (unit, user_id, bucket, model, {COLUMNS}) "
    f"SELECT ?, user_id, bucket * {QUARTER_S} / ?, model, {SUM_OF_SUMS} FROM usage_sums WHERE unit = {QUARTER_S} GROUP BY 2, 3, 4"
)


@dataclass(frozen=True, slots=True)
class Booked:
    """One usage row that was just inserted. `input_tokens` is the part that was not cached."""

    id: int
    user_id: str
    session_id: str | None
    model: str | None
    input_tokens: int
    output_tokens: int
    cache_read: int
    cache_write: int
    cost_usd: float
    at: datetime


def roll_up(connection: peewee.Database, row: Booked) -> None:
    """Add a row to the sums; in the transaction that inserts it."""
    second = int(row.at.timestamp())
    cost = row.cost_usd if math.isfinite(row.cost_usd) and 0 <= row.cost_usd <= LARGEST_COST else 0.0
    counts = (row.input_tokens, row.output_tokens, row.cache_read, row.cache_write, cost)
    model = row.model or UNKNOWN_MODEL
    for user_id in {row.user_id, EVERYBODY}:
        for unit in UNITS:
            connection.execute_sql(BUCKETS, (unit, user_id, second // unit, model, *counts))
    session = (row.session_id or "", row.user_id, row.session_id)
    connection.execute_sql(SESSIONS, (second // DAY_S, *session, *counts))
    connection.execute_sql("UPDATE usage_rolled_up SET last_id = ?, row_count = row_count + 1", (row.id,))


def count_tool(
    connection: peewee.Database, session_id: str, tool_name: str, at: datetime, *, is_error: bool = False
) -> None:
    """Count a tool call, or (`is_error`) that one failed."""
    found = connection.execute_sql("SELECT user_id FROM session_metadata WHERE id = ?", (session_id,)).fetchone()
    quarter = int(at.timestamp()) // QUARTER_S
    for user_id in {found[0] if found else EVERYBODY, EVERYBODY}:
        connection.execute_sql(TOOLS, (user_id, quarter, tool_name, 0 if is_error else 1, 1 if is_error else 0))


def is_rolled_up(connection: peewee.Database) -> bool:
    """Whether the sums stand for exactly the rows that there are."""
    last_id, row_count = connection.execute_sql("SELECT last_id, row_count FROM usage_rolled_up").fetchone()
    newest, count = connection.execute_sql("SELECT coalesce(max(id), 0), count(*) FROM usage_stats").fetchone()
    return (last_id, row_count) == (newest, count)


def catch_up(connection: peewee.Database) -> None:
    """Add the rows that came past `roll_up`; where rows are missing, build all sums anew. A row that makes no sense counts as nothing."""
    last_id, row_count = connection.execute_sql("SELECT last_id, row_count FROM usage_rolled_up").fetchone()
    older = connection.execute_sql("SELECT count(*) FROM usage_stats WHERE id <= ?", (last_id,)).fetchone()[0]
    if older != row_count:
        connection.execute_sql("DELETE FROM usage_sums")
        connection.execute_sql("DELETE FROM usage_sessions")
        last_id = 0
    connection.execute_sql(QUARTERS_OF_ROWS, (last_id,))
    connection.execute_sql(SESSIONS_OF_ROWS, (last_id,))
    connection.execute_sql("DELETE FROM usage_sums WHERE user_id = '' OR unit != ?", (QUARTER_S,))
    connection.execute_sql(EVERYBODYS)
    for unit in UNITS[1:]:
        connection.execute_sql(LARGER_UNITS, (unit, unit))
    connection.execute_sql(
        "UPDATE usage_rolled_up SET last_id = (SELECT coalesce(max(id), 0) FROM usage_stats), "
        "row_count = (SELECT count(*) FROM usage_stats)"
    )
