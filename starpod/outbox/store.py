"""SQL of the outbox. A person's texts leave a channel one after the other, in the order in which they came."""

from __future__ import annotations

import peewee

from starpod.outbox.types import ChannelName, Claimed, Delivery, Message

# A person's oldest open text of a channel; those behind it wait for it.
IS_FIRST = (
    "NOT EXISTS (SELECT 1 FROM outbox AS before WHERE before.channel = mine.channel AND before.user_id = mine.user_id "
    "AND before.id < mine.id AND before.state IN ('waiting', 'sending'))"
)
A_DAY_S = 86_400.0
COLUMNS = "id, channel, user_id, title, text, state, attempts, error, created_at, next_attempt_at, ended_at"
# Whom a channel reaches at all; for anybody else nothing is kept.
REACHES = "SELECT 1 FROM telegram_links WHERE telegram_links.user_id = ? AND telegram_id IS NOT NULL"


def add(connection: peewee.Database, message: Message, user_id: str, now: float) -> int:
    """Keep a message for every channel that is on and reaches the person; returns for how many."""
    sql = (
        "INSERT INTO outbox (channel, user_id, title, text, source, created_at, next_attempt_at) "
        f"SELECT name, ?, ?, ?, ?, ?, ? FROM outbox_channels WHERE name = 'telegram' AND EXISTS ({REACHES}) "
        "ON CONFLICT (channel, user_id, source) DO NOTHING"
    )
    values = (user_id, message.title, message.text, message.source, now, now, user_id)
    return int(connection.execute_sql(sql, values).rowcount)


def set_channel(connection: peewee.Database, name: ChannelName, is_on: bool) -> None:
    """Keep messages for a channel from now on, or no more."""
    if is_on:
        connection.execute_sql("INSERT INTO outbox_channels (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    else:
        connection.execute_sql("DELETE FROM outbox_channels WHERE name = ?", (name,))


def claim(connection: peewee.Database, channels: list[str], now: float, lease_s: float, limit: int) -> list[Claimed]:
    """Take what is due: the oldest open text of each person. One whose lease has run out is taken again.

    What would be due in more than a day was put back by a clock that ran ahead.
    """
    marks = ", ".join("?" for _ in channels)
    due = connection.execute_sql(
        f"SELECT id FROM outbox AS mine WHERE channel IN ({marks}) AND "
        f"(state = 'waiting' AND (next_attempt_at <= ? OR next_attempt_at > ?) "
        f"OR state = 'sending' AND (lease_until <= ? OR lease_until > ?)) AND {IS_FIRST} ORDER BY id LIMIT ?",
        (*channels, now, now + A_DAY_S, now, now + A_DAY_S, limit),
    ).fetchall()
    claimed = []
    for (id_,) in due:
        row = connection.execute_sql(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, lease_until = ? WHERE id = ? "
            "RETURNING id, channel, user_id, title, text, attempts, created_at",
            (now + lease_s, id_),
        ).fetchone()
        claimed.append(Claimed(*row))
    return claimed


def next_due(connection: peewee.Database, channels: list[str]) -> float | None:
    """When a claim can next find something of these channels; None when nothing waits."""
    marks = ", ".join("?" for _ in channels)
    row = connection.execute_sql(
        "SELECT min(CASE WHEN state = 'sending' THEN lease_until ELSE next_attempt_at END) FROM outbox AS mine "
        f"WHERE state IN ('waiting', 'sending') AND channel IN ({marks}) AND {IS_FIRST}",
        tuple(channels),
    ).fetchone()
    return float(row[0]) if row[0] is not None else None


def mark_sent(connection: peewee.Database, id_: int, now: float) -> None:
    """It has arrived; its words are not kept."""
    connection.execute_sql(
        "UPDATE outbox SET state = 'sent', text = '', error = NULL, lease_until = NULL, ended_at = ? WHERE id = ?",
        (now, id_),
    )


def put_back(connection: peewee.Database, id_: int, error: str, retry_at: float, *, counts: bool) -> None:
    """Try it again at `retry_at`; `counts`: the attempt counts."""
    connection.execute_sql(
        "UPDATE outbox SET state = 'waiting', error = ?, next_attempt_at = ?, lease_until = NULL, attempts = attempts - ? WHERE id = ?",
        (error, retry_at, 0 if counts else 1, id_),
    )


def give_up(connection: peewee.Database, id_: int, error: str, now: float) -> None:
    """It will not be tried again by itself."""
    connection.execute_sql(
        "UPDATE outbox SET state = 'dead', error = ?, lease_until = NULL, ended_at = ? WHERE id = ?", (error, now, id_)
    )


def hold(connection: peewee.Database, channel: ChannelName, until: float) -> None:
    """Nothing of a channel is due before then."""
    connection.execute_sql(
        "UPDATE outbox SET next_attempt_at = ? WHERE channel = ? AND state = 'waiting' AND next_attempt_at < ?",
        (until, channel, until),
    )


def hurry(connection: peewee.Database, channel: ChannelName, now: float) -> None:
    """A channel works again: what waits because of it is due now."""
    connection.execute_sql(
        "UPDATE outbox SET next_attempt_at = ? WHERE channel = ? AND state = 'waiting' AND next_attempt_at > ?",
        (now, channel, now),
    )


def note_trouble(connection: peewee.Database, channel: ChannelName, user_id: str, reason: str, now: float) -> bool:
    """A channel fails, for one person or (user_id '') as a whole. Returns whether that is new."""
    sql = "INSERT INTO outbox_troubles (channel, user_id, since, reason) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
    return bool(connection.execute_sql(sql, (channel, user_id, now, reason)).rowcount)


def end_trouble(connection: peewee.Database, channel: ChannelName, user_id: str) -> bool:
    """It works again. Returns whether it had failed."""
    sql = "DELETE FROM outbox_troubles WHERE channel = ? AND user_id = ?"
    return bool(connection.execute_sql(sql, (channel, user_id)).rowcount)


def list_page(
    connection: peewee.Database, user_id: str | None, state: str | None, before: int | None, limit: int
) -> list[Delivery]:
    """The newest deliveries, of one person or (None) of everybody, older than the one with the id `before`."""
    rows = connection.execute_sql(
        f"SELECT {COLUMNS} FROM outbox WHERE (? IS NULL OR user_id = ?) AND (? IS NULL OR state = ?) AND id < ? "
        "ORDER BY id DESC LIMIT ?",
        (user_id, user_id, state, state, before if before is not None else 2**62, limit),
    )
    return [Delivery(*row) for row in rows.fetchall()]


def count(connection: peewee.Database, user_id: str | None) -> dict[str, int]:
    """How many are in which state."""
    rows = connection.execute_sql(
        "SELECT state, count(*) FROM outbox WHERE (? IS NULL OR user_id = ?) GROUP BY state", (user_id, user_id)
    )
    return {"waiting": 0, "sending": 0, "sent": 0, "dead": 0} | dict(rows.fetchall())


def retry(connection: peewee.Database, id_: int, user_id: str | None, now: float) -> bool:
    """Try one again that waits or was given up, as if it were new. False when there is none such."""
    sql = (
        "UPDATE outbox SET state = 'waiting', attempts = 0, created_at = ?, next_attempt_at = ?, ended_at = NULL "
        "WHERE id = ? AND (? IS NULL OR user_id = ?) AND state IN ('waiting', 'dead')"
    )
    return bool(connection.execute_sql(sql, (now, now, id_, user_id, user_id)).rowcount)


def drop(connection: peewee.Database, id_: int, user_id: str | None) -> bool:
    """Remove one that is not being sent. False when there is none such."""
    sql = "DELETE FROM outbox WHERE id = ? AND (? IS NULL OR user_id = ?) AND state <> 'sending'"
    return bool(connection.execute_sql(sql, (id_, user_id, user_id)).rowcount)


def sweep(connection: peewee.Database, sent_before: float, dead_before: float) -> None:
    """Forget what ended long ago."""
    connection.execute_sql("DELETE FROM outbox WHERE state = 'sent' AND ended_at < ?", (sent_before,))
    connection.execute_sql("DELETE FROM outbox WHERE state = 'dead' AND ended_at < ?", (dead_before,))
