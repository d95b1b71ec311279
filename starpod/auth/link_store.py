"""SQL of Telegram links. A change and its line of the audit log are one transaction."""

from __future__ import annotations

from datetime import datetime

import peewee

from starpod.auth.store import find_user, get_user, record_event
from starpod.auth.types import OPERATOR, Actor, TelegramLink, User
from starpod.clock import format_time, parse_time


def find_link(connection: peewee.Database, user_id: str) -> TelegramLink | None:
    """The link of a user, or None."""
    sql = "SELECT telegram_id, username, linked_at FROM telegram_links WHERE user_id = ?"
    row = connection.execute_sql(sql, (user_id,)).fetchone()
    return None if row is None else TelegramLink(row[0], row[1], parse_time(row[2]))


def set_link(
    connection: peewee.Database,
    user_id: str,
    telegram_id: int | None,
    username: str | None,
    now: datetime,
    actor: Actor = OPERATOR,
) -> TelegramLink:
    """Link a user; whoever had the same number or name loses it. Raises NotFound."""
    get_user(connection, user_id)
    losers = connection.execute_sql(
        "SELECT DISTINCT user_id FROM telegram_links WHERE (telegram_id = ? OR username = ?) AND user_id <> ?",
        (telegram_id, username, user_id),
    ).fetchall()
    connection.execute_sql(
        "DELETE FROM telegram_links WHERE user_id = ? OR telegram_id = ? OR username = ?",
        (user_id, telegram_id, username),
    )
    connection.execute_sql(
        "INSERT INTO telegram_links (telegram_id, user_id, username, linked_at) VALUES (?, ?, ?, ?)",
        (telegram_id, user_id, username, format_time(now)),
    )
    by = "" if actor.user_id is None else f"; by {actor.user_id}"
    for (loser,) in losers:
        detail = f"linked to {user_id} instead{by}"
        record_event(connection, "telegram_unlinked", loser, detail, actor.ip_address, now)
    detail = f"id {telegram_id}, username {username}{by}"
    record_event(connection, "telegram_linked", user_id, detail, actor.ip_address, now)
    return TelegramLink(telegram_id, username, now)


def delete_link(connection: peewee.Database, user_id: str, now: datetime, actor: Actor = OPERATOR) -> bool:
    """Unlink a user; whether there was a link."""
    if not connection.execute_sql("DELETE FROM telegram_links WHERE user_id = ?", (user_id,)).rowcount:
        return False
    by = None if actor.user_id is None else f"by {actor.user_id}"
    record_event(connection, "telegram_unlinked", user_id, by, actor.ip_address, now)
    return True


def find_linked(connection: peewee.Database, telegram_id: int) -> User | None:
    """Whose number this is, active or not."""
    row = connection.execute_sql("SELECT user_id FROM telegram_links WHERE telegram_id = ?", (telegram_id,)).fetchone()
    return None if row is None else find_user(connection, row[0])


def claim_link(connection: peewee.Database, telegram_id: int, username: str, now: datetime) -> User | None:
    """Complete a link that so far has only this name; None when there is none, or its user is shut out.

    A link that has a number never follows its name: names can be given up, and registered by somebody else.
    """
    if find_linked(connection, telegram_id) is not None:
        return None
    row = connection.execute_sql(
        "SELECT l.user_id FROM telegram_links l JOIN users u ON u.id = l.user_id "
        "WHERE l.username = ? AND l.telegram_id IS NULL AND u.is_active = 1",
        (username,),
    ).fetchone()
    if row is None:
        return None
    connection.execute_sql(
        "UPDATE telegram_links SET telegram_id = ? WHERE user_id = ? AND telegram_id IS NULL", (telegram_id, row[0])
    )
    record_event(connection, "telegram_linked", row[0], f"id {telegram_id} on first contact", None, now)
    return find_user(connection, row[0])
