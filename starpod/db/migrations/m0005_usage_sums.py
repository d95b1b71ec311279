"""Sums of usage by quarter of an hour, by session and by tool, and the limits and notices of budgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import peewee

SUMS = """input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL, cost_usd REAL NOT NULL, calls INTEGER NOT NULL"""
STATEMENTS = (
    f"""CREATE TABLE usage_quarters (
        user_id TEXT NOT NULL, quarter INTEGER NOT NULL, model TEXT NOT NULL, {SUMS},
        PRIMARY KEY (user_id, quarter, model)) WITHOUT ROWID""",
    f"""CREATE TABLE usage_sessions (
        day INTEGER NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL, {SUMS},
        PRIMARY KEY (day, session_id, user_id)) WITHOUT ROWID""",
    """CREATE TABLE usage_tools (
        user_id TEXT NOT NULL, quarter INTEGER NOT NULL, tool_name TEXT NOT NULL,
        invocations INTEGER NOT NULL, errors INTEGER NOT NULL, PRIMARY KEY (user_id, quarter, tool_name)) WITHOUT ROWID""",
    # How far the sums have come. The gateway adds what is missing when it starts.
    "CREATE TABLE usage_rolled_up (last_id INTEGER NOT NULL, row_count INTEGER NOT NULL)",
    "INSERT INTO usage_rolled_up (last_id, row_count) VALUES (0, 0)",
    """CREATE TABLE user_budgets (
        user_id TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE, daily_usd REAL, monthly_usd REAL)""",
    # One row for each notice that was given, so that it is given once.
    """CREATE TABLE budget_notices (
        scope TEXT NOT NULL, subject TEXT NOT NULL, period TEXT NOT NULL, starts_at TEXT NOT NULL, level INTEGER NOT NULL,
        PRIMARY KEY (scope, subject, period, starts_at, level))""",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
    counts: dict[tuple[str, int, str], list[int]] = {}
    for user_id, at, name, is_error in _tool_calls(connection):
        for who in {user_id, ""}:
            counts.setdefault((who, int(at.timestamp()) // 900, name), [0, 0])[is_error] += 1
    for key, (calls, errors) in counts.items():
        connection.execute_sql("INSERT INTO usage_tools VALUES (?, ?, ?, ?, ?)", (*key, calls, errors))


def _tool_calls(connection: peewee.Database) -> Iterator[tuple[str, datetime, str, bool]]:
    """(user, when, tool, False) for each call and the same with True for each that failed; rows that make no sense are left out."""
    names: dict[tuple[str, Any], str] = {}
    rows = connection.execute_sql(
        "SELECT m.session_id, s.user_id, m.content, m.timestamp FROM session_messages AS m "
        "JOIN session_metadata AS s ON s.id = m.session_id WHERE m.role IN ('tool_use', 'tool_result') ORDER BY m.id"
    ).fetchall()
    for session_id, user_id, content, timestamp in rows:
        try:
            at, found = datetime.fromisoformat(timestamp), json.loads(content)
            if found["type"] == "tool_use":
                names[session_id, str(found["id"])] = str(found["name"])
                yield user_id, at, str(found["name"]), False
            elif found["is_error"]:
                yield user_id, at, names[session_id, str(found["tool_use_id"])], True
        except (ValueError, TypeError, KeyError):
            continue
