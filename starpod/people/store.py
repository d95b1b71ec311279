"""SQL over all tables that hold something of a person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import peewee

from starpod.auth.store import record_event
from starpod.sessions import removal_store

# What is handed out, by the name of its file. Hashes of keys and the texts of other people are not in it.
TABLES = {
    "profile": "SELECT id, email, display_name, role, is_active, filesystem_enabled, created_at, updated_at FROM users WHERE id = ?",
    "keys": "SELECT id, prefix, label, expires_at, revoked_at, last_used_at, created_at FROM api_keys WHERE user_id = ?",
    "sign-ins": "SELECT kind, created_at, expires_at, used_at FROM sign_ins WHERE user_id = ?",
    "telegram": "SELECT telegram_id, username, linked_at FROM telegram_links WHERE user_id = ?",
    "telegram-updates": "SELECT update_id, chat_id, state, payload, received_at FROM telegram_updates WHERE user_id = ?",
    "sessions": "SELECT * FROM session_metadata WHERE user_id = ?",
    "turns": "SELECT * FROM turns WHERE user_id = ?",
    "attachments": "SELECT a.id, a.session_id, a.turn_id, a.direction, a.file_name, a.mime_type, a.size_bytes, a.created_at "
    "FROM attachments a JOIN session_metadata s ON s.id = a.session_id WHERE s.user_id = ?",
    "approvals": "SELECT * FROM approval_answers WHERE user_id = ?",
    "jobs": "SELECT * FROM cron_jobs WHERE user_id = ?",
    "job-runs": "SELECT r.* FROM cron_runs r JOIN cron_jobs j ON j.id = r.job_id WHERE j.user_id = ?",
    "notifications": "SELECT * FROM notifications WHERE user_id = ?",
    "deliveries": "SELECT * FROM outbox WHERE user_id = ?",
    "budget": "SELECT daily_usd, monthly_usd FROM user_budgets WHERE user_id = ?",
    "usage": "SELECT * FROM usage_stats WHERE user_id = ?",
    "memory-versions": "SELECT id, file, size_bytes, origin, session_id, turn_id, created_at FROM memory_versions WHERE owner = ?",
    "audit": "SELECT event_type, detail, ip_address, created_at FROM auth_audit_log WHERE user_id = ?",
}
SUMS = ", ".join(
    f"sum({name})" for name in ("input_tokens", "output_tokens", "cache_read", "cache_write", "cost_usd", "calls")
)
PAGE = 500


def rows(connection: peewee.Database, name: str, user_id: str) -> list[dict[str, Any]]:
    """The person's rows of one of `TABLES`."""
    cursor = connection.execute_sql(TABLES[name], (user_id,))
    columns = [column[0] for column in cursor.description]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def messages(connection: peewee.Database, session_id: str) -> Iterator[tuple[Any, ...]]:
    """(id, role, content, timestamp, turn) of all that was said in a session, also a deleted one."""
    after = 0
    while page := connection.execute_sql(
        "SELECT id, role, content, timestamp, turn_id FROM session_messages WHERE session_id = ? AND id > ? ORDER BY id LIMIT ?",
        (session_id, after, PAGE),
    ).fetchall():
        yield from page
        after = page[-1][0]


def erase(connection: peewee.Database, user_id: str, alias: str, now: datetime) -> int:
    """Delete all of a person, and put `alias`, which says nothing about them, where sums need somebody. Returns how many sessions went.

    The user's own row may be gone already.
    """
    connection.execute_sql("PRAGMA secure_delete = ON")
    connection.execute_sql(
        "DELETE FROM message_search WHERE rowid IN (SELECT m.id FROM session_messages m "
        "JOIN session_metadata s ON s.id = m.session_id WHERE s.user_id = ?)",
        (user_id,),
    )
    _keep_sums(connection, user_id, alias)
    count = removal_store.erase_user(connection, user_id)
    for table in (
        "cron_jobs",
        "notifications",
        "outbox",
        "outbox_troubles",
        "telegram_updates",
        "user_budgets",
        "users",
    ):
        column = "id" if table == "users" else "user_id"
        connection.execute_sql(f"DELETE FROM {table} WHERE {column} = ?", (user_id,))
    connection.execute_sql("DELETE FROM budget_notices WHERE subject = ?", (user_id,))
    connection.execute_sql("DELETE FROM memory_versions WHERE owner = ?", (user_id,))
    # What they wrote into the agent's own files is the agent's.
    connection.execute_sql(
        "UPDATE memory_versions SET user_id = NULL, session_id = NULL, turn_id = NULL WHERE user_id = ?", (user_id,)
    )
    connection.execute_sql(
        "UPDATE auth_audit_log SET user_id = ?, detail = NULL, ip_address = NULL WHERE user_id = ?", (alias, user_id)
    )
    record_event(connection, "user_deleted", alias, f"all data erased, {count} sessions", None, now)
    return count


def scrub(connection: peewee.Database) -> None:
    """Write the file anew without what was deleted: pages, search index and log still hold it. Outside of a transaction; needs the
    room of the file a second time, and nobody else on it."""
    connection.execute_sql("INSERT INTO message_search (message_search) VALUES ('optimize')")
    connection.execute_sql("VACUUM")
    connection.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _keep_sums(connection: peewee.Database, user_id: str, alias: str) -> None:
    connection.execute_sql(
        "UPDATE usage_stats SET user_id = ?, session_id = NULL, turn_id = NULL WHERE user_id = ?", (alias, user_id)
    )
    for table in ("usage_sums", "usage_tools"):
        connection.execute_sql(f"UPDATE {table} SET user_id = ? WHERE user_id = ?", (alias, user_id))
    connection.execute_sql(
        f"INSERT INTO usage_sessions SELECT day, '', ?, NULL, {SUMS} FROM usage_sessions WHERE user_id = ? GROUP BY day",
        (alias, user_id),
    )
    connection.execute_sql("DELETE FROM usage_sessions WHERE user_id = ?", (user_id,))
