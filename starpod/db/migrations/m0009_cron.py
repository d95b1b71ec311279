"""Jobs and their runs."""

from __future__ import annotations

import peewee

STATEMENTS = (
    """CREATE TABLE cron_jobs (
        id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
        name TEXT NOT NULL, prompt TEXT NOT NULL,
        schedule_type TEXT NOT NULL CHECK (schedule_type IN ('one_shot', 'interval', 'cron')), schedule_value TEXT NOT NULL,
        timezone TEXT, enabled INTEGER NOT NULL DEFAULT 1, delete_after_run INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL, last_run_at INTEGER, next_run_at INTEGER,
        retry_count INTEGER NOT NULL DEFAULT 0, max_retries INTEGER NOT NULL DEFAULT 3, last_error TEXT, retry_at INTEGER,
        timeout_secs INTEGER NOT NULL DEFAULT 7200, session_mode TEXT NOT NULL DEFAULT 'isolated',
        overlap TEXT NOT NULL DEFAULT 'skip', catch_up TEXT NOT NULL DEFAULT 'last', model TEXT)""",
    "CREATE UNIQUE INDEX cron_jobs_name ON cron_jobs (coalesce(user_id, ''), name)",
    "CREATE INDEX cron_jobs_due ON cron_jobs (next_run_at) WHERE enabled = 1 AND next_run_at IS NOT NULL",
    "CREATE INDEX cron_jobs_retry ON cron_jobs (retry_at) WHERE enabled = 1 AND retry_at IS NOT NULL",
    """CREATE TABLE cron_runs (
        id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES cron_jobs (id) ON DELETE CASCADE,
        trigger_kind TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL,
        started_at INTEGER NOT NULL, completed_at INTEGER,
        status TEXT NOT NULL CHECK (status IN ('running', 'success', 'failed', 'interrupted', 'skipped')),
        result_summary TEXT, session_id TEXT, error TEXT, cost_usd REAL NOT NULL DEFAULT 0, duration_ms INTEGER,
        scheduler TEXT, lease_until REAL)""",
    # What makes a due time run once: whoever comes second cannot insert.
    "CREATE UNIQUE INDEX cron_runs_due ON cron_runs (job_id, due_at, attempt)",
    "CREATE INDEX cron_runs_job ON cron_runs (job_id, started_at DESC)",
    "CREATE INDEX cron_runs_running ON cron_runs (status) WHERE status = 'running'",
)


def apply(connection: peewee.Database) -> None:
    for statement in STATEMENTS:
        connection.execute_sql(statement)
