"""SQL of reading the audit log. Its lines are written by those who change something."""

from __future__ import annotations

from typing import Any

import peewee

from starpod.auth.types import AuditEvent, AuditFilter
from starpod.clock import format_time, parse_time

LAST = 2**62


def list_audit(connection: peewee.Database, wanted: AuditFilter, limit: int) -> list[AuditEvent]:
    """The newest `limit` lines that fit, the newest first."""
    since = None if wanted.since is None else format_time(wanted.since)
    until = None if wanted.until is None else format_time(wanted.until)
    rows = connection.execute_sql(
        "SELECT id, user_id, event_type, detail, ip_address, created_at FROM auth_audit_log "
        "WHERE id < ? AND event_type = coalesce(?, event_type) AND (CAST(? AS TEXT) IS NULL OR user_id = ?) "
        "AND created_at >= ? AND created_at < ? ORDER BY id DESC LIMIT ?",
        (
            LAST if wanted.before is None else wanted.before,
            wanted.event_type,
            wanted.user_id,
            wanted.user_id,
            since or "",
            until or "~",
            limit,
        ),
    )
    return [_event(row) for row in rows]


def _event(row: tuple[Any, ...]) -> AuditEvent:
    event_id, user_id, event_type, detail, ip_address, created_at = row
    return AuditEvent(event_id, user_id, event_type, detail, ip_address, parse_time(created_at))
