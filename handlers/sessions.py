"""Sessions and their messages."""

from __future__ import annotations

import tornado.iostream
from pydantic import TypeAdapter

from handlers import wire
from handlers.base import BaseHandler, Refused
from handlers.chat import EVENT_STREAM, answer, stream_turn
from handlers.schemas import ArchiveBody, EditBody, ReadBody, RegenerateBody, SessionChangeBody, StopBody
from starpod.sessions.export import Format, file_name
from starpod.sessions.types import SessionQuery

READ, ARCHIVE, STOP = TypeAdapter(ReadBody), TypeAdapter(ArchiveBody), TypeAdapter(StopBody)
MOST_SESSIONS = 1000
MOST_MESSAGES = 1000
MOST_HITS = 100
CHANGE, REGENERATE, EDIT = TypeAdapter(SessionChangeBody), TypeAdapter(RegenerateBody), TypeAdapter(EditBody)


class SessionListHandler(BaseHandler):
    """`GET /api/sessions?limit=20&archived=&pinned=&before=<id of the last one seen>&user=<for admins>`."""

    async def get(self) -> None:
        query = SessionQuery(
            limit=min(self.int_argument("limit", 20) or 0, MOST_SESSIONS),
            archived=self.flag_argument("archived"),
            pinned_only=self.flag_argument("pinned"),
            before=self.get_query_argument("before", None),
        )
        self.send_json(await self.state.sessions.list_recent(self.asked_viewer(), query))


class SessionSearchHandler(BaseHandler):
    """`GET /api/sessions/search?q=&limit=20&user=<for admins>`: any text is a query."""

    async def get(self) -> None:
        limit = self.int_argument("limit", 20, least=1, most=MOST_HITS) or 1
        text = self.get_query_argument("q", strip=False)
        self.send_json(await self.state.sessions.search(self.asked_viewer(), text, limit=limit))


class SessionHandler(BaseHandler):
    """`GET`, `PATCH {"title"?, "is_pinned"?}` and `DELETE /api/sessions/:id[?permanent=true]`."""

    async def get(self, session_id: str) -> None:
        self.send_json(await self.state.sessions.get(self.asked_viewer(), session_id))

    async def patch(self, session_id: str) -> None:
        body = self.read_body(CHANGE)
        sessions = self.state.sessions
        self.send_json(await sessions.update(self.viewer, session_id, title=body.title, is_pinned=body.is_pinned))

    async def delete(self, session_id: str) -> None:
        permanent = self.flag_argument("permanent")
        await self.state.agent.delete_session(self.viewer, session_id, permanent=permanent)
        self.set_status(204)
        self.finish()


class RestoreHandler(BaseHandler):
    """`POST /api/sessions/:id/restore`: undo a deletion."""

    async def post(self, session_id: str) -> None:
        self.send_json(await self.state.sessions.restore(self.viewer, session_id))


class ExportHandler(BaseHandler):
    """`GET /api/sessions/:id/export?format=markdown|json`: the whole conversation as a file."""

    async def get(self, session_id: str) -> None:
        asked = self.get_query_argument("format", "markdown")
        if asked not in ("markdown", "json"):
            raise Refused(400, "format must be markdown or json")
        form: Format = "json" if asked == "json" else "markdown"
        session, pieces = await self.state.sessions.export(self.asked_viewer(), session_id, form)
        kind = "text/markdown" if form == "markdown" else "application/json"
        self.set_header("Content-Type", f"{kind}; charset=UTF-8")
        self.set_header("Content-Disposition", file_name(session, form))
        try:
            async for piece in pieces:
                self.write(piece)
                await self.flush()
        except tornado.iostream.StreamClosedError:
            return


class RegenerateHandler(BaseHandler):
    """`POST /api/sessions/:id/regenerate {"model"?, "client_message_id"?}`: answered like a chat message."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(REGENERATE)
        branches = self.state.agent.branches
        submitted = await branches.regenerate(
            self.viewer, session_id, model=body.model, client_message_id=body.client_message_id
        )
        await answer(self, submitted)


class EditHandler(BaseHandler):
    """`POST /api/sessions/:id/edit {"message_id", "text", "model"?, "client_message_id"?}`: answered like a chat message."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(EDIT)
        submitted = await self.state.agent.branches.edit(
            self.viewer,
            session_id,
            body.message_id,
            body.text,
            model=body.model,
            client_message_id=body.client_message_id,
        )
        await answer(self, submitted)


class BranchListHandler(BaseHandler):
    """`GET /api/sessions/:id/branches`: turns that have others in their place (those of the same `parent_id`)."""

    async def get(self, session_id: str) -> None:
        self.send_json(await self.state.agent.branches.siblings(self.viewer, session_id))


class BranchHandler(BaseHandler):
    """`POST /api/sessions/:id/branches/:turn_id/activate`: show the branch through this turn."""

    async def post(self, session_id: str, turn_id: str) -> None:
        self.send_json(await self.state.agent.branches.activate(self.viewer, session_id, turn_id))


class MessageListHandler(BaseHandler):
    """`GET /api/sessions/:id/messages?limit=&before=`: all, or a page of the newest."""

    async def get(self, session_id: str) -> None:
        limit = self.int_argument("limit", None, least=1, most=MOST_MESSAGES)
        before = self.int_argument("before", None, least=1)
        messages = await self.state.sessions.messages(self.asked_viewer(), session_id, limit=limit, before=before)
        self.send_json(messages)


class TurnListHandler(BaseHandler):
    """`GET /api/sessions/:id/turns`: what each turn used and cost, those of other branches too."""

    async def get(self, session_id: str) -> None:
        self.send_json(await self.state.sessions.turns(self.asked_viewer(), session_id))


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
