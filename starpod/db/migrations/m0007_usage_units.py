"""Sums of usage by quarter, hour and day instead of by quarter alone; sessions' sums name their job. The gateway fills them on start."""

from __future__ import annotations

import peewee

SUMS = """input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cache_read INTEGER NOT NULL,
        cache_write INTEGER NOT NULL, cost_usd REAL NOT NULL, calls INTEGER NOT NULL"""
STATEMENTS = (
    "DROP TABLE usage_quarters",
    "DROP TABLE usage_sessions",
    # `bucket` counts units of so many seconds since 1970.
    f"""CREATE TABLE usage_sums (
        unit INTEGER NOT NULL, user_id TEXT NOT NULL, bucket INTEGER NOT NULL, model TEXT NOT NULL, {SUMS},
        PRIMARY KEY (unit, user_id, bucket, model)) WITHOUT ROWID""",
    f"""CREATE TABLE usage_sessions (
        day INTEGER NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL, job TEXT, {SUMS},
        PRIMARY KEY (day, session_id, user_id)) WITHOUT ROWID""",
    "CREATE INDEX usage_sessions_cost ON usage_sessions (session_id, user_id, cost_usd)",
    "UPDATE usage_rolled_up SET last_id = 0, row_count = 0",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
