"""Sessions and their messages."""

from __future__ import annotations

import tornado.iostream

from handlers import wire
from handlers.answers import DeletedMessages, Running
from handlers.base import BaseHandler, number_of
from handlers.chat import answer, stream_turn
from handlers.operations import EVENT_STREAM
from handlers.queries import (
    AskedQuery,
    MessageDeleteQuery,
    MessageListQuery,
    SessionDeleteQuery,
    SessionEventsQuery,
    SessionExportQuery,
    SessionListQuery,
    SessionSearchQuery,
)
from handlers.schemas import ArchiveBody, EditBody, ReadBody, RegenerateBody, SessionChangeBody, StopBody
from starpod.sessions.export import file_name
from starpod.sessions.types import SessionQuery

MOST_SESSIONS = 1000


class SessionListHandler(BaseHandler):
    """`GET /api/sessions?limit=20&archived=&pinned=&before=<id of the last one seen>&user=<for admins>`."""

    async def get(self) -> None:
        asked = self.read_query(SessionListQuery)
        query = SessionQuery(
            limit=min(asked.limit, MOST_SESSIONS),
            archived=asked.archived,
            pinned_only=asked.pinned,
            before=asked.before,
        )
        self.send_json(await self.state.sessions.list_recent(self.asked_viewer(asked.user), query))


class RunningHandler(BaseHandler):
    """`GET /api/sessions/running`: ids of the sessions that are being answered."""

    async def get(self) -> None:
        viewer = self.asked_viewer(self.read_query(AskedQuery).user)
        running: Running = {"session_ids": self.state.agent.turns.running_sessions_of(viewer.owner_ids)}
        self.send_json(running)


class SessionSearchHandler(BaseHandler):
    """`GET /api/sessions/search?q=&limit=20&user=<for admins>`: any text is a query."""

    async def get(self) -> None:
        query = self.read_query(SessionSearchQuery)
        self.send_json(await self.state.sessions.search(self.asked_viewer(query.user), query.q, limit=query.limit))


class SessionHandler(BaseHandler):
    """`GET`, `PATCH {"title"?, "is_pinned"?}` and `DELETE /api/sessions/:id[?permanent=true]`."""

    async def get(self, session_id: str) -> None:
        viewer = self.asked_viewer(self.read_query(AskedQuery).user)
        self.send_json(await self.state.sessions.get(viewer, session_id))

    async def patch(self, session_id: str) -> None:
        body = self.read_body(SessionChangeBody)
        sessions = self.state.sessions
        self.send_json(await sessions.update(self.viewer, session_id, title=body.title, is_pinned=body.is_pinned))

    async def delete(self, session_id: str) -> None:
        permanent = self.read_query(SessionDeleteQuery).permanent
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
        query = self.read_query(SessionExportQuery)
        viewer, form = self.asked_viewer(query.user), query.format
        session, pieces = await self.state.sessions.export(viewer, session_id, form)
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
        body = self.read_body(RegenerateBody)
        branches = self.state.agent.branches
        submitted = await branches.regenerate(
            self.viewer, session_id, model=body.model, client_message_id=body.client_message_id
        )
        await answer(self, submitted)


class EditHandler(BaseHandler):
    """`POST /api/sessions/:id/edit {"message_id", "text", "model"?, "client_message_id"?}`: answered like a chat message."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(EditBody)
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
        query = self.read_query(MessageListQuery)
        viewer = self.asked_viewer(query.user)
        messages = await self.state.sessions.messages(viewer, session_id, limit=query.limit, before=query.before)
        self.send_json(messages)


class MessageHandler(BaseHandler):
    """`DELETE /api/sessions/:id/messages/:message_id?scope=message|answer`: for good, also from what the model is shown."""

    async def delete(self, session_id: str, message_id: str) -> None:
        scope = self.read_query(MessageDeleteQuery).scope
        deletions, number = self.state.agent.deletions, number_of(message_id, "message")
        deleted: DeletedMessages = {
            "message_ids": await deletions.delete_message(self.viewer, session_id, number, scope)
        }
        self.send_json(deleted)


class TurnListHandler(BaseHandler):
    """`GET /api/sessions/:id/turns`: what each turn used and cost, those of other branches too."""

    async def get(self, session_id: str) -> None:
        viewer = self.asked_viewer(self.read_query(AskedQuery).user)
        self.send_json(await self.state.sessions.turns(viewer, session_id))


class ReadHandler(BaseHandler):
    """`POST /api/sessions/:id/read`."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(ReadBody)
        await self.state.sessions.mark(self.viewer, session_id, is_read=body.is_read)
        self.send_json({"ok": True})


class ArchiveHandler(BaseHandler):
    """`POST /api/sessions/:id/archive`."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(ArchiveBody)
        await self.state.sessions.mark(self.viewer, session_id, is_archived=body.archived)
        self.send_json({"ok": True})


class StopHandler(BaseHandler):
    """`POST /api/sessions/:id/stop`: for clients without a socket."""

    async def post(self, session_id: str) -> None:
        body = self.read_body(StopBody)
        self.send_json({"stopped": await self.state.agent.stop(self.viewer, session_id, body.turn_id)})


class SessionEventsHandler(BaseHandler):
    """`GET /api/sessions/:id/events?turn_id=&after=`: follow a turn as server-sent events; `Last-Event-ID` counts as `after`."""

    async def get(self, session_id: str) -> None:
        query = self.read_query(SessionEventsQuery)
        turn_id, after = query.turn_id, query.after
        last_id = self.request.headers.get("Last-Event-ID", "")
        if after is None:
            after = int(last_id) if last_id.isascii() and last_id.isdigit() else 0
        turn = await self.state.agent.find_turn(self.viewer, session_id, turn_id)
        if turn is not None:
            return await stream_turn(self, turn, after=after)
        events = await self.state.agent.replay(self.viewer, session_id, turn_id)
        self.set_header("Content-Type", EVENT_STREAM)
        await self.finish(b"".join(wire.sse(published) for published in events))
