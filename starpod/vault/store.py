"""SQL of the vault. Every change writes its line of the audit log, with the name only, in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime

import peewee

from starpod.auth.store import record_event
from starpod.auth.types import Actor
from starpod.clock import format_time, parse_time
from starpod.errors import NotFound
from starpod.vault.types import SealedEntry, VaultStamp


def stamp(connection: peewee.Database) -> VaultStamp:
    """Which key sealed the rows, and how often they were changed."""
    generation, key_id = connection.execute_sql("SELECT generation, key_id FROM vault_state").fetchone()
    return VaultStamp(generation, key_id)


def list_entries(connection: peewee.Database) -> list[SealedEntry]:
    """All rows by name."""
    rows = connection.execute_sql(
        "SELECT name, nonce, sealed, allowed_hosts, updated_at FROM vault_entries ORDER BY name"
    )
    return [
        SealedEntry(name, bytes(nonce), bytes(sealed), _hosts(hosts), parse_time(updated_at))
        for name, nonce, sealed, hosts, updated_at in rows
    ]


def snapshot(connection: peewee.Database) -> tuple[VaultStamp, list[SealedEntry]]:
    """`stamp` and `list_entries` of one moment."""
    with connection.atomic():
        return stamp(connection), list_entries(connection)


def put_entry(
    connection: peewee.Database,
    name: str,
    sealed: tuple[bytes, bytes],
    key_id: str,
    *,
    hosts: Sequence[str] | None,
    keep_hosts: bool,
    now: datetime,
    actor: Actor,
) -> VaultStamp | None:
    """Keep a sealed value; None, with nothing changed, when another key has sealed the rows by now."""
    current = stamp(connection)
    if current.key_id not in (None, key_id):
        return None
    moment = format_time(now)
    connection.execute_sql(
        "INSERT INTO vault_entries (name, nonce, sealed, allowed_hosts, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET nonce = excluded.nonce, sealed = excluded.sealed, updated_at = excluded.updated_at, "
        "allowed_hosts = CASE WHEN ? THEN vault_entries.allowed_hosts ELSE excluded.allowed_hosts END",
        (name, *sealed, _dumped(hosts), moment, moment, keep_hosts),
    )
    record_event(connection, "vault_set", actor.user_id, name, actor.ip_address, now)
    return _advance(connection, key_id)


def set_hosts(
    connection: peewee.Database, name: str, hosts: Sequence[str] | None, *, now: datetime, actor: Actor
) -> VaultStamp:
    """Say where a secret may go. Raises NotFound."""
    changed = connection.execute_sql(
        "UPDATE vault_entries SET allowed_hosts = ?, updated_at = ? WHERE name = ?",
        (_dumped(hosts), format_time(now), name),
    )
    if changed.rowcount == 0:
        raise NotFound(f"The vault holds no {name}")
    record_event(connection, "vault_set", actor.user_id, f"{name}: allowed hosts", actor.ip_address, now)
    return _advance(connection, stamp(connection).key_id)


def delete_entry(connection: peewee.Database, name: str, *, now: datetime, actor: Actor) -> VaultStamp:
    """Delete a row. Raises NotFound."""
    if connection.execute_sql("DELETE FROM vault_entries WHERE name = ?", (name,)).rowcount == 0:
        raise NotFound(f"The vault holds no {name}")
    record_event(connection, "vault_deleted", actor.user_id, name, actor.ip_address, now)
    is_empty = connection.execute_sql("SELECT NOT EXISTS (SELECT 1 FROM vault_entries)").fetchone()[0]
    return _advance(connection, None if is_empty else stamp(connection).key_id)


def reseal(
    connection: peewee.Database,
    again: Callable[[SealedEntry], tuple[bytes, bytes]],
    key_id: str,
    *,
    now: datetime,
    actor: Actor,
) -> VaultStamp:
    """Seal every row with another key. What `again` raises leaves all as it was."""
    entries = list_entries(connection)
    for entry in entries:
        connection.execute_sql(
            "UPDATE vault_entries SET nonce = ?, sealed = ? WHERE name = ?", (*again(entry), entry.name)
        )
    record_event(connection, "vault_key_rotated", actor.user_id, None, actor.ip_address, now)
    return _advance(connection, key_id if entries else None)


def _advance(connection: peewee.Database, key_id: str | None) -> VaultStamp:
    connection.execute_sql("UPDATE vault_state SET generation = generation + 1, key_id = ?", (key_id,))
    return stamp(connection)


def _hosts(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))


def _dumped(hosts: Sequence[str] | None) -> str | None:
    return None if hosts is None else json.dumps(list(hosts))
