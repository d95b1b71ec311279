"""SQL of the auth domain. Every function that changes something writes its line of the audit log in the same transaction."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import peewee

from starpod.auth.types import (
    OPERATOR,
    UNSET,
    Actor,
    ApiKey,
    Candidate,
    EventType,
    NewCookie,
    NewKey,
    Role,
    User,
    UserChanges,
)
from starpod.clock import format_time, parse_time
from starpod.errors import Conflict, NotFound, Unavailable

logger = logging.getLogger(__name__)

USER_COLUMNS = "u.id, u.email, u.display_name, u.role, u.is_active, u.filesystem_enabled, u.created_at, u.updated_at"
KEY_COLUMNS = "id, user_id, prefix, label, expires_at, revoked_at, last_used_at, created_at"


# Users


def has_users(connection: peewee.Database) -> bool:
    """Whether anybody was ever created; deactivated users count."""
    with _closed_on_failure():
        return connection.execute_sql("SELECT 1 FROM users LIMIT 1").fetchone() is not None


def find_user(connection: peewee.Database, user_id: str) -> User | None:
    """The user, or None."""
    row = connection.execute_sql(f"SELECT {USER_COLUMNS} FROM users u WHERE u.id = ?", (user_id,)).fetchone()
    return None if row is None else _user(row)


def get_user(connection: peewee.Database, user_id: str) -> User:
    """The user; raises NotFound."""
    user = find_user(connection, user_id)
    if user is None:
        raise NotFound("User not found")
    return user


def list_users(connection: peewee.Database) -> list[User]:
    """Everybody, the oldest first."""
    return [
        _user(row) for row in connection.execute_sql(f"SELECT {USER_COLUMNS} FROM users u ORDER BY u.created_at, u.id")
    ]


def create_user(
    connection: peewee.Database,
    email: str | None,
    display_name: str | None,
    role: Role,
    filesystem_enabled: bool,
    now: datetime,
    actor: Actor = OPERATOR,
) -> User:
    """Add an active user. Raises Conflict for an email that somebody has."""
    _check_email(connection, email, None)
    user = User(str(uuid.uuid4()), email, display_name, role, True, filesystem_enabled, now, now)
    _insert_user(connection, user)
    record_event(connection, "user_created", user.id, _detail(f"role {role}", actor), actor.ip_address, now)
    return user


def update_user(
    connection: peewee.Database, user_id: str, changes: UserChanges, now: datetime, actor: Actor = OPERATOR
) -> User:
    """Change what is given. Raises NotFound, and Conflict for a taken email or for the last active admin becoming a plain user."""
    user = get_user(connection, user_id)
    given = {field.name: getattr(changes, field.name) for field in fields(changes)}
    changed = {name: value for name, value in given.items() if value is not UNSET and value != getattr(user, name)}
    if not changed:
        return user
    if "email" in changed:
        _check_email(connection, changed["email"], user_id)
    if "role" in changed:
        _check_other_admin(connection, user, "be made a plain user")
    new = replace(user, **changed, updated_at=now)
    connection.execute_sql(
        "UPDATE users SET email = ?, display_name = ?, role = ?, filesystem_enabled = ?, updated_at = ? WHERE id = ?",
        (new.email, new.display_name, new.role, int(new.filesystem_enabled), format_time(now), user_id),
    )
    record_event(connection, "user_updated", user_id, _detail(", ".join(changed), actor), actor.ip_address, now)
    return new


def set_active(connection: peewee.Database, user_id: str, active: bool, now: datetime, actor: Actor = OPERATOR) -> User:
    """Let a user in again, or shut them out and end their sign-ins. Raises NotFound, and Conflict for the last active admin."""
    user = get_user(connection, user_id)
    if user.is_active == active:
        return user
    if not active:
        _check_other_admin(connection, user, "be deactivated")
        connection.execute_sql("DELETE FROM sign_ins WHERE user_id = ?", (user_id,))
    connection.execute_sql(
        "UPDATE users SET is_active = ?, updated_at = ? WHERE id = ?", (int(active), format_time(now), user_id)
    )
    event: EventType = "user_activated" if active else "user_deactivated"
    record_event(connection, event, user_id, _detail(None, actor), actor.ip_address, now)
    return get_user(connection, user_id)


def delete_user(connection: peewee.Database, user_id: str, now: datetime, actor: Actor = OPERATOR) -> None:
    """Delete a user with their keys, sign-ins and links. Raises NotFound, and Conflict for the last active admin."""
    user = get_user(connection, user_id)
    _check_other_admin(connection, user, "be deleted")
    connection.execute_sql("DELETE FROM users WHERE id = ?", (user_id,))
    detail = _detail(user.email or user.display_name, actor)
    record_event(connection, "user_deleted", user_id, detail, actor.ip_address, now)


def bootstrap(connection: peewee.Database, key: NewKey, now: datetime) -> tuple[User, ApiKey] | None:
    """Make the first admin with the key, or nothing when any user exists."""
    if has_users(connection):
        return None
    user = User(str(uuid.uuid4()), None, "Admin", "admin", True, True, now, now)
    _insert_user(connection, user)
    stored = _insert_key(connection, user.id, key, now)
    record_event(connection, "bootstrap", user.id, "Admin user created", None, now)
    return user, stored


# Keys


def list_keys(connection: peewee.Database, user_id: str) -> list[ApiKey]:
    """A user's keys, revoked ones too, the newest first; none for an unknown user."""
    sql = f"SELECT {KEY_COLUMNS} FROM api_keys WHERE user_id = ? ORDER BY created_at DESC, id"
    return [_key(row) for row in connection.execute_sql(sql, (user_id,))]


def create_key(
    connection: peewee.Database, user_id: str, key: NewKey, most: int, now: datetime, actor: Actor = OPERATOR
) -> ApiKey:
    """Add a key. Raises NotFound for an unknown user, Conflict for one who has `most` usable keys."""
    get_user(connection, user_id)
    sql = "SELECT count(*) FROM api_keys WHERE user_id = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)"
    if connection.execute_sql(sql, (user_id, format_time(now))).fetchone()[0] >= most:
        raise Conflict(f"A user may have {most} keys. Revoke one that is not used any more first.")
    stored = _insert_key(connection, user_id, key, now)
    record_event(connection, "api_key_created", user_id, _detail(f"key {stored.id}", actor), actor.ip_address, now)
    return stored


def revoke_key(connection: peewee.Database, key_id: str, now: datetime, actor: Actor = OPERATOR) -> ApiKey:
    """End a key and the sign-ins that it opened; a second time changes nothing. Raises NotFound."""
    key = get_key(connection, key_id)
    if key.revoked_at is not None:
        return key
    connection.execute_sql("UPDATE api_keys SET revoked_at = ? WHERE id = ?", (format_time(now), key_id))
    connection.execute_sql("DELETE FROM sign_ins WHERE api_key_id = ?", (key_id,))
    record_event(connection, "api_key_revoked", key.user_id, _detail(f"key {key.id}", actor), actor.ip_address, now)
    return replace(key, revoked_at=now)


def rotate_key(
    connection: peewee.Database, key_id: str, new: NewKey, now: datetime, overlap: timedelta, actor: Actor = OPERATOR
) -> ApiKey:
    """Give the owner a new key of the same label and lifetime; the old one, and what it opened, ends after `overlap`.

    Raises NotFound, and Conflict for a key that has ended already.
    """
    old = get_key(connection, key_id)
    if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
        raise Conflict("This key has ended already. Create a new one instead.")
    expires_at = None if old.expires_at is None else now + (old.expires_at - old.created_at)
    made = _insert_key(connection, old.user_id, replace(new, label=old.label, expires_at=expires_at), now)
    end = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
    connection.execute_sql("UPDATE api_keys SET expires_at = ? WHERE id = ?", (format_time(end), key_id))
    connection.execute_sql(
        "UPDATE sign_ins SET expires_at = ? WHERE api_key_id = ? AND expires_at > ?",
        (format_time(end), key_id, format_time(end)),
    )
    detail = _detail(f"key {key_id} by key {made.id}", actor)
    record_event(connection, "api_key_rotated", old.user_id, detail, actor.ip_address, now)
    return made


def get_key(connection: peewee.Database, key_id: str) -> ApiKey:
    """A key. Raises NotFound."""
    row = connection.execute_sql(f"SELECT {KEY_COLUMNS} FROM api_keys WHERE id = ?", (key_id,)).fetchone()
    if row is None:
        raise NotFound("API key not found")
    return _key(row)


def find_keys(connection: peewee.Database, prefix: str, now: datetime) -> list[Candidate]:
    """The keys with this prefix that may be used now: neither revoked nor expired, of an active user."""
    sql = (
        f"SELECT {USER_COLUMNS}, k.id, k.key_hash, k.expires_at, k.last_used_at FROM api_keys k JOIN users u ON u.id = k.user_id "
        "WHERE k.prefix = ? AND k.revoked_at IS NULL AND u.is_active = 1 AND (k.expires_at IS NULL OR k.expires_at > ?)"
    )
    with _closed_on_failure():
        return [_candidate(row) for row in connection.execute_sql(sql, (prefix, format_time(now)))]


def touch_keys(connection: peewee.Database, used: Mapping[str, datetime]) -> None:
    """Note when keys were last used, by key id."""
    for key_id, moment in used.items():
        connection.execute_sql("UPDATE api_keys SET last_used_at = ? WHERE id = ?", (format_time(moment), key_id))


# Sign-ins: cookies and one-time codes


def create_code(
    connection: peewee.Database, user_id: str, token_hash: str, expires_at: datetime, now: datetime
) -> None:
    """Add a one-time code. Raises NotFound for a user who is unknown or deactivated."""
    if not get_user(connection, user_id).is_active:
        raise NotFound("User not found")
    connection.execute_sql(
        "INSERT INTO sign_ins (id, user_id, kind, token_hash, created_at, expires_at) VALUES (?, ?, 'code', ?, ?, ?)",
        (str(uuid.uuid4()), user_id, token_hash, format_time(now), format_time(expires_at)),
    )


def sign_in_with_code(
    connection: peewee.Database, code_hash: str, cookie: NewCookie, now: datetime, ip_address: str | None
) -> User | None:
    """Trade a code for a cookie; None, and nothing changed, when the code is unknown, used or expired or its user shut out."""
    row = connection.execute_sql(
        f"SELECT {USER_COLUMNS} FROM sign_ins s JOIN users u ON u.id = s.user_id WHERE s.token_hash = ? AND s.kind = 'code' "
        "AND s.used_at IS NULL AND s.expires_at > ? AND u.is_active = 1",
        (code_hash, format_time(now)),
    ).fetchone()
    if row is None:
        return None
    # The condition again: an engine without a single writer may run two of these at once.
    sql = "UPDATE sign_ins SET used_at = ? WHERE token_hash = ? AND used_at IS NULL"
    if connection.execute_sql(sql, (format_time(now), code_hash)).rowcount != 1:
        return None
    user = _user(row)
    _insert_cookie(connection, cookie, user.id, None, now)
    record_event(connection, "login_ok", user.id, "one-time code", ip_address, now)
    return user


def sign_in_with_key(
    connection: peewee.Database, key_id: str, cookie: NewCookie, now: datetime, ip_address: str | None
) -> tuple[User, datetime] | None:
    """Open a cookie that lasts no longer than its key; None when the key was revoked or its user shut out meanwhile."""
    row = connection.execute_sql(
        f"SELECT {USER_COLUMNS}, k.expires_at FROM api_keys k JOIN users u ON u.id = k.user_id "
        "WHERE k.id = ? AND k.revoked_at IS NULL AND u.is_active = 1 AND (k.expires_at IS NULL OR k.expires_at > ?)",
        (key_id, format_time(now)),
    ).fetchone()
    if row is None:
        return None
    user, key_expires_at = _user(row[:8]), _moment(row[8])
    expires_at = cookie.expires_at if key_expires_at is None else min(cookie.expires_at, key_expires_at)
    _insert_cookie(connection, replace(cookie, expires_at=expires_at), user.id, key_id, now)
    record_event(connection, "login_ok", user.id, f"key {key_id}", ip_address, now)
    return user, expires_at


def find_cookie(connection: peewee.Database, token_hash: str, now: datetime) -> Candidate | None:
    """A cookie that is good now: its user is active, and the key that opened it was not revoked."""
    with _closed_on_failure():
        row = connection.execute_sql(
            f"SELECT {USER_COLUMNS}, s.api_key_id, s.token_hash, s.expires_at, NULL "
            "FROM sign_ins s JOIN users u ON u.id = s.user_id LEFT JOIN api_keys k ON k.id = s.api_key_id "
            "WHERE s.token_hash = ? AND s.kind = 'cookie' AND s.expires_at > ? AND u.is_active = 1 AND k.revoked_at IS NULL",
            (token_hash, format_time(now)),
        ).fetchone()
    return None if row is None else _candidate(row)


def end_cookie(connection: peewee.Database, token_hash: str, now: datetime, ip_address: str | None) -> None:
    """Sign out; nothing happens for a cookie that is unknown."""
    row = connection.execute_sql(
        "SELECT user_id FROM sign_ins WHERE token_hash = ? AND kind = 'cookie'", (token_hash,)
    ).fetchone()
    if row is not None:
        connection.execute_sql("DELETE FROM sign_ins WHERE token_hash = ?", (token_hash,))
        record_event(connection, "logout", row[0], None, ip_address, now)


def delete_ended_sign_ins(connection: peewee.Database, now: datetime) -> int:
    """Delete cookies and codes that expired, and codes that were used."""
    sql = "DELETE FROM sign_ins WHERE expires_at <= ? OR used_at IS NOT NULL"
    return int(connection.execute_sql(sql, (format_time(now),)).rowcount)


# The audit log


def record_event(
    connection: peewee.Database,
    event_type: EventType,
    user_id: str | None,
    detail: str | None,
    ip_address: str | None,
    now: datetime,
) -> None:
    """Add a line to the audit log."""
    connection.execute_sql(
        "INSERT INTO auth_audit_log (user_id, event_type, detail, ip_address, created_at) VALUES (?, ?, ?, ?, ?)",
        (user_id, event_type, detail, ip_address, format_time(now)),
    )


def delete_old_noise(connection: peewee.Database, before: datetime) -> int:
    """Delete lines about refused callers from before a moment; what changed somebody's access is kept for good."""
    sql = "DELETE FROM auth_audit_log WHERE event_type IN ('failed_auth', 'rate_limited') AND created_at < ?"
    return int(connection.execute_sql(sql, (format_time(before),)).rowcount)


def _insert_user(connection: peewee.Database, user: User) -> None:
    created_at = format_time(user.created_at)
    connection.execute_sql(
        "INSERT INTO users (id, email, display_name, role, is_active, filesystem_enabled, created_at, updated_at) "
        "VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
        (user.id, user.email, user.display_name, user.role, int(user.filesystem_enabled), created_at, created_at),
    )


def _insert_key(connection: peewee.Database, user_id: str, new: NewKey, now: datetime) -> ApiKey:
    key = ApiKey(str(uuid.uuid4()), user_id, new.prefix, new.label, new.expires_at, None, None, now)
    expires_at = None if new.expires_at is None else format_time(new.expires_at)
    connection.execute_sql(
        "INSERT INTO api_keys (id, user_id, prefix, key_hash, label, expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (key.id, user_id, new.prefix, new.key_hash, new.label, expires_at, format_time(now)),
    )
    return key


def _insert_cookie(
    connection: peewee.Database, cookie: NewCookie, user_id: str, key_id: str | None, now: datetime
) -> None:
    connection.execute_sql(
        "INSERT INTO sign_ins (id, user_id, kind, token_hash, api_key_id, created_at, expires_at) VALUES (?, ?, 'cookie', ?, ?, ?, ?)",
        (cookie.id, user_id, cookie.token_hash, key_id, format_time(now), format_time(cookie.expires_at)),
    )


@contextmanager
def _closed_on_failure() -> Iterator[None]:
    """Whatever fails while somebody is checked must read as "not now", never as "nobody is known here"."""
    try:
        yield
    except peewee.PeeweeException as error:
        logger.warning("the database failed while a caller was checked: %s", error)
        raise Unavailable("The database cannot be read now, so nobody can be let in. Try again in a moment.") from error


def _check_email(connection: peewee.Database, email: str | None, own_id: str | None) -> None:
    if email is None:
        return
    # Mailboxes that differ in case only are one person's; the UNIQUE index would take them for two.
    row = connection.execute_sql(
        "SELECT id FROM users WHERE lower(email) = lower(?) AND id <> ?", (email, own_id or "")
    ).fetchone()
    if row is not None:
        raise Conflict("Another user has this email")


def _check_other_admin(connection: peewee.Database, user: User, change: str) -> None:
    if user.role != "admin" or not user.is_active:
        return
    sql = "SELECT 1 FROM users WHERE role = 'admin' AND is_active = 1 AND id <> ? LIMIT 1"
    if connection.execute_sql(sql, (user.id,)).fetchone() is None:
        raise Conflict(f"The last active admin cannot {change}. Make somebody else an admin first.")


def _detail(text: str | None, actor: Actor) -> str | None:
    by = None if actor.user_id is None else f"by {actor.user_id}"
    return "; ".join(part for part in (text, by) if part) or None


def _user(row: tuple[Any, ...]) -> User:
    user_id, email, display_name, role, is_active, filesystem_enabled, created_at, updated_at = row
    return User(
        user_id,
        email,
        display_name,
        role,
        bool(is_active),
        bool(filesystem_enabled),
        parse_time(created_at),
        parse_time(updated_at),
    )


def _key(row: tuple[Any, ...]) -> ApiKey:
    key_id, user_id, prefix, label, expires_at, revoked_at, last_used_at, created_at = row
    return ApiKey(
        key_id,
        user_id,
        prefix,
        label,
        _moment(expires_at),
        _moment(revoked_at),
        _moment(last_used_at),
        parse_time(created_at),
    )


def _candidate(row: tuple[Any, ...]) -> Candidate:
    key_id, key_hash, expires_at, last_used_at = row[8:]
    return Candidate(_user(row[:8]), key_id, key_hash, _moment(expires_at), _moment(last_used_at))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
