"""Reads what the doctor asks of the databases, without changing them: also such as are damaged, older or newer. Blocks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from starpod.errors import Unavailable


@dataclass(frozen=True, slots=True)
class CoreFacts:
    """What core.db says. Times are RFC 3339 texts; `sealed` are the vault's rows, `key_id` tells which key sealed them."""

    schema: int
    users: int
    active_admins: int
    admins_with_key: int
    first_user_at: str | None
    newest_at: str | None
    key_id: str | None
    sealed: tuple[tuple[str, bytes, bytes], ...]
    last_message_id: int
    dead_deliveries: int
    waiting_deliveries: int


def damage(path: Path) -> str | None:
    """What is wrong with the pages of a database that others may have open; None when it is whole."""
    try:
        with closing(_open(path)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        return str(error)
    return None if found == ["ok"] else found[0]


def core_facts(path: Path) -> CoreFacts:
    """Raises Unavailable when they cannot be read."""
    try:
        with closing(_open(path)) as database:
            return _facts(database)
    except sqlite3.Error as error:
        raise Unavailable(str(error)) from error


def index_facts(path: Path) -> tuple[dict[tuple[str, str], tuple[int, int]], int]:
    """(time of change in ns, size) of each file in the index by owner and source, and the last message that it knows.

    Raises Unavailable.
    """
    try:
        with closing(_open(path)) as database:
            rows = database.execute(
                "SELECT owner.name, source.name, source.mtime_ns, source.size_bytes FROM source "
                "JOIN owner ON owner.id = source.owner_id WHERE source.size_bytes > 0 OR source.mtime_ns > 0"
            ).fetchall()
            last = database.execute("SELECT value FROM setting WHERE name = 'last_message'").fetchone()
    except sqlite3.Error as error:
        raise Unavailable(str(error)) from error
    return {(owner, name): (mtime_ns, size) for owner, name, mtime_ns, size in rows}, int(last[0]) if last else 0


def _facts(database: sqlite3.Connection) -> CoreFacts:
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}

    def one(table: str, sql: str, default: object = 0) -> object:
        row = database.execute(sql).fetchone() if table in tables else None
        return default if row is None or row[0] is None else row[0]

    is_ours = "schema_version" in tables
    schema = one("schema_version", "SELECT max(number) FROM schema_version")
    newest = [
        str(found)
        for table, column in (("session_messages", "timestamp"), ("auth_audit_log", "created_at"))
        if (found := one(table, f"SELECT {column} FROM {table} ORDER BY id DESC LIMIT 1", None)) is not None
    ]
    sealed: tuple[tuple[str, bytes, bytes], ...] = ()
    if "vault_entries" in tables:
        rows = database.execute("SELECT name, nonce, sealed FROM vault_entries ORDER BY name").fetchall()
        sealed = tuple((name, bytes(nonce), bytes(value)) for name, nonce, value in rows)
    key_id = one("vault_state", "SELECT key_id FROM vault_state", None)
    first = one("users", "SELECT min(created_at) FROM users", None)
    return CoreFacts(
        schema=int(str(schema)) if is_ours else 0,
        users=int(str(one("users", "SELECT count(*) FROM users"))),
        active_admins=int(str(one("users", "SELECT count(*) FROM users WHERE role = 'admin' AND is_active"))),
        admins_with_key=int(
            str(
                one(
                    "users",
                    "SELECT count(DISTINCT u.id) FROM users u JOIN api_keys k ON k.user_id = u.id WHERE u.role = 'admin' "
                    "AND u.is_active AND k.revoked_at IS NULL "
                    "AND (k.expires_at IS NULL OR k.expires_at > strftime('%Y-%m-%dT%H:%M:%S', 'now'))",
                )
            )
        ),
        first_user_at=None if first is None else str(first),
        newest_at=max(newest, default=None),
        key_id=None if key_id is None else str(key_id),
        sealed=sealed,
        last_message_id=int(str(one("session_messages", "SELECT max(id) FROM session_messages"))),
        dead_deliveries=int(str(one("outbox", "SELECT count(*) FROM outbox WHERE state = 'dead'"))),
        waiting_deliveries=int(str(one("outbox", "SELECT count(*) FROM outbox WHERE state IN ('waiting', 'sending')"))),
    )


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
