"""SQL of the files that belong to conversations."""

from __future__ import annotations

import peewee

from starpod.sessions.types import SessionFile, StoredFile

COLUMNS = "attachments.id, turn_id, direction, file_name, mime_type, size_bytes, attachments.created_at"


def list_files(connection: peewee.Database, session_id: str) -> list[SessionFile]:
    """The files of a session, the oldest first."""
    rows = connection.execute_sql(
        f"SELECT {COLUMNS} FROM attachments WHERE session_id = ? ORDER BY created_at, id", (session_id,)
    )
    return [SessionFile(*row) for row in rows.fetchall()]


def find_file(connection: peewee.Database, session_id: str, file_id: str) -> tuple[SessionFile, StoredFile] | None:
    """A file of a session and where it is."""
    row = connection.execute_sql(
        f"SELECT {COLUMNS}, session_metadata.user_id, coalesce(users.role = 'admin', 0), path FROM attachments "
        "JOIN session_metadata ON session_metadata.id = attachments.session_id "
        "LEFT JOIN users ON users.id = session_metadata.user_id WHERE session_id = ? AND attachments.id = ?",
        (session_id, file_id),
    ).fetchone()
    if row is None:
        return None
    return SessionFile(*row[:7]), StoredFile(row[7], row[8] != 0, row[9])
