"""SQL of erasing what somebody said. What was spent stays booked, without the sessions it was spent in."""

from __future__ import annotations

import peewee


def erase_user(connection: peewee.Database, user_id: str) -> int:
    """Delete a user's sessions with all messages, and their standing answers; returns how many sessions that were."""
    connection.execute_sql(
        "UPDATE usage_stats SET session_id = NULL, turn_id = NULL "
        "WHERE session_id IN (SELECT id FROM session_metadata WHERE user_id = ?)",
        (user_id,),
    )
    connection.execute_sql("DELETE FROM follow_ups WHERE user_id = ?", (user_id,))
    connection.execute_sql("DELETE FROM approval_answers WHERE user_id = ?", (user_id,))
    return int(connection.execute_sql("DELETE FROM session_metadata WHERE user_id = ?", (user_id,)).rowcount)
