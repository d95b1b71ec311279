"""Sessions and their messages."""

from __future__ import annotations

from pydantic import TypeAdapter

from handlers import wire
from handlers.base import BaseHandler
from handlers.chat import EVENT_STREAM, stream_turn
from handlers.schemas import ArchiveBody, ReadBody, StopBody

READ, ARCHIVE, STOP = TypeAdapter(ReadBody), TypeAdapter(ArchiveBody), TypeAdapter(StopBody)
MOST_SESSIONS = 1000
MOST_MESSAGES = 1000


class SessionListHandler(BaseHandler):
    """`GET /api/sessions?limit=20`."""

    async def get(self) -> None:
        limit = self.int_argument("limit", 20) or 0
        self.send_json(await self.state.sessions.list_recent(self.viewer, limit=min(limit, MOST_SESSIONS)))


class SessionHandler(BaseHandler):
    """`GET /api/sessions/:id`."""

    async def get(self, session_id: str) -> None:
        self.send_json(await self.state.sessions.get(self.viewer, session_id))


class MessageListHandler(BaseHandler):
    """`GET /api/sessions/:id/messages?limit=&before=`: all, or a page of the newest."""

    async def get(self, session_id: str) -> None:
        limit = self.int_argument("limit", None, least=1, most=MOST_MESSAGES)
        before = self.int_argument("before", None, least=1)
        messages = await self.state.sessions.messages(self.viewer, session_id, limit=limit, before=before)
        self.send_json(messages)


class ReadHandler(BaseHandler):
    """`POST /api/sessions/:id/read`."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(READ)
        await self.state.sessions.mark(self.viewer, session_id, is_read=body.is_read)
        self.send_json({"ok": True})


class ArchiveHandler(BaseHandler):
    """`POST /api/sessions/:id/archive`."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(ARCHIVE)
        await self.state.sessions.mark(self.viewer, session_id, is_archived=body.archived)
        self.send_json({"ok": True})


class StopHandler(BaseHandler):
    """`POST /api/sessions/:id/stop`: for clients without a socket."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(STOP)
        self.send_json({"stopped": await self.state.agent.stop(self.viewer, session_id, body.turn_id)})


class SessionEventsHandler(BaseHandler):
    """`GET /api/sessions/:id/events?turn_id=&after=`: follow a turn as server-sent events; `Last-Event-ID` counts as `after`."""

    async def get(self, session_id: str) -> None:
        turn_id = self.get_query_argument("turn_id", None)
        after = self.int_argument("after", None)
        last_id = self.request.headers.get("Last-Event-ID", "")
        if after is None:
            after = int(last_id) if last_id.isascii() and last_id.isdigit() else 0
        turn = await self.state.agent.find_turn(self.viewer, session_id, turn_id)
        if turn is not None:
            return await stream_turn(self, turn, after=after)
        events = await self.state.agent.replay(self.viewer, session_id, turn_id)
        self.set_header("Content-Type", EVENT_STREAM)
        await self.finish(b"".join(wire.sse(published) for published in events))
