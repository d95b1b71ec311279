"""`/api/instances`: further agents that this gateway runs. For admins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from pydantic_core import to_json
from tornado.iostream import StreamClosedError

from handlers.admin_schemas import InstanceBody
from handlers.base import BaseHandler
from handlers.queries import InstanceLogsQuery
from starpod.instances.types import NewInstance

DONE = {"pause": "paused", "start": "started", "restart": "restarted"}


async def note(handler: BaseHandler, *what: str) -> None:
    """A line of the audit log."""
    user_id = handler.user.id if handler.user is not None else None
    await handler.state.auth.audit("instance_changed", user_id, " ".join(what), handler.address)


class InstanceListHandler(BaseHandler):
    """All instances, and new ones."""

    async def get(self) -> None:
        self.send_json(await self.state.instances.list())

    async def post(self) -> None:
        body = self.read_body(InstanceBody)
        new = replace(NewInstance(**body.model_dump(exclude={"secrets"})), secrets=tuple(body.secrets))
        made = await self.state.instances.create(new)
        await note(self, "created", made["id"], *(f"with {name}" for name in new.secrets))
        self.send_json(made, 201)


class InstanceHandler(BaseHandler):
    """One instance; its id may be shortened."""

    async def get(self, instance_id: str) -> None:
        self.send_json(await self.state.instances.get(instance_id))

    async def delete(self, instance_id: str) -> None:
        await self.state.instances.delete(instance_id)
        await note(self, "deleted", instance_id)
        self.set_status(204)
        self.finish()


class InstanceActionHandler(BaseHandler):
    """Pause, start, restart."""

    async def post(self, instance_id: str, action: str) -> None:
        instances = self.state.instances
        actions = {"pause": instances.pause, "start": instances.start, "restart": instances.restart}
        await actions[action](instance_id)
        await note(self, DONE[action], instance_id)
        self.send_json({"status": DONE[action]})


class InstanceHealthHandler(BaseHandler):
    """How it is."""

    async def get(self, instance_id: str) -> None:
        self.send_json(await self.state.instances.health(instance_id))


class InstanceHistoryHandler(BaseHandler):
    """How it was, for a graph."""

    async def get(self, instance_id: str) -> None:
        self.send_json(await self.state.instances.history(instance_id))


class InstanceLogsHandler(BaseHandler):
    """`?tail=&follow=`: its log, a JSON object a line."""

    async def get(self, instance_id: str) -> None:
        query = self.read_query(InstanceLogsQuery)
        entries = await self.state.instances.logs(instance_id, tail=query.tail, follow=query.follow)
        self.set_header("Content-Type", "application/x-ndjson; charset=UTF-8")
        task = self.state.tasks.spawn(self._send(entries), name="instance-logs")
        self.when_gone(task.cancel)
        with contextlib.suppress(asyncio.CancelledError, StreamClosedError):
            await task
            self.finish()

    async def _send(self, entries: AsyncIterator[dict[str, Any]]) -> None:
        async for entry in entries:
            self.write(to_json(entry) + b"\n")
            await self.flush()
