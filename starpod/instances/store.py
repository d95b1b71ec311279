"""SQL of the instances of this machine."""

from __future__ import annotations

import json

import peewee

from starpod.errors import Conflict, NotFound
from starpod.instances.types import StoredInstance, Wanted

COLUMNS = "id, name, wanted, created_at, updated_at, port, fields"


def list_all(connection: peewee.Database) -> list[StoredInstance]:
    """All instances, the oldest first, also those that are being removed."""
    rows = connection.execute_sql(f"SELECT {COLUMNS} FROM instances ORDER BY created_at, rowid").fetchall()
    return [_read(row) for row in rows]


def get(connection: peewee.Database, instance_id: str) -> StoredInstance:
    """One instance. Raises NotFound."""
    row = connection.execute_sql(f"SELECT {COLUMNS} FROM instances WHERE id = ?", (instance_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such instance")
    return _read(row)


def add(connection: peewee.Database, new: StoredInstance, most: int) -> None:
    """Keep a new instance. Raises Conflict when its name is taken, or when there are `most` already."""
    if connection.execute_sql("SELECT 1 FROM instances WHERE name = ?", (new.name,)).fetchone() is not None:
        raise Conflict(f"There is an instance named {new.name!r} already")
    count = connection.execute_sql("SELECT count(*) FROM instances").fetchone()[0]
    if count >= most:
        raise Conflict(f"There are {count} instances already; delete one, or raise max_count under [instances]")
    connection.execute_sql(
        f"INSERT INTO instances ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (new.id, new.name, new.wanted, new.created_at, new.updated_at, new.port, json.dumps(dict(new.fields))),
    )


def want(connection: peewee.Database, instance_id: str, wanted: Wanted, now: int) -> None:
    """Note what people ask of an instance."""
    sql = "UPDATE instances SET wanted = ?, updated_at = ? WHERE id = ?"
    connection.execute_sql(sql, (wanted, now, instance_id))


def remove(connection: peewee.Database, instance_id: str) -> None:
    """Forget an instance."""
    connection.execute_sql("DELETE FROM instances WHERE id = ?", (instance_id,))


def _read(row: tuple[str, str, Wanted, int, int, int, str]) -> StoredInstance:
    id_, name, wanted, created_at, updated_at, port, fields = row
    return StoredInstance(id_, name, wanted, created_at, updated_at, port, json.loads(fields))
