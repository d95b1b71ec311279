"""What people may ask of their conversations. Messages are added by the turn engine, never here."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

from starpod.db.database import Database
from starpod.errors import InvalidInput, NotFound
from starpod.sessions import export, export_store, removal_store, search, search_store, store
from starpod.sessions.export import Format
from starpod.sessions.types import Channel, ExportedTurn, Message, Session, SessionHit, SessionKey, SessionQuery, Viewer

TITLE_BYTES = 100
KEPT_LISTS = 200
MOST_TITLE = 200
NEWEST = SessionQuery()


class Sessions:
    """Reading and marking sessions, always within what the viewer may see."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lists: dict[tuple[tuple[str, ...] | None, SessionQuery], list[Session]] = {}
        self._lists_generation = -1

    async def list_recent(self, viewer: Viewer, query: SessionQuery = NEWEST) -> list[Session]:
        """Sessions by a query, newest message first. Do not change the list: others get the same one."""
        # Every open page asks for this again and again, and a thread's answer costs more than all the rest of the request.
        generation = self._database.generation
        if generation != self._lists_generation:
            self._lists.clear()
            self._lists_generation = generation
        key = (viewer.owner_ids, query)
        found = self._lists.get(key)
        if found is None:
            found = await self._database.read(store.list_sessions, viewer.owner_ids, query)
            if self._lists_generation == generation == self._database.generation and len(self._lists) < KEPT_LISTS:
                self._lists[key] = found
        return found

    async def get(self, viewer: Viewer, session_id: str) -> Session:
        """One session. NotFound when it is unknown or somebody else's."""
        session = await self._database.read(store.find_session, session_id, viewer.owner_ids)
        if session is None:
            raise NotFound(f"Session {session_id!r} not found")
        return session

    async def find_by_turn(self, viewer: Viewer, turn_id: str) -> Session | None:
        """The session of a turn; None when the turn is unknown or the session somebody else's."""
        return await self._database.read(store.find_by_turn, turn_id, viewer.owner_ids)

    async def messages(
        self, viewer: Viewer, session_id: str, *, limit: int | None = None, before: int | None = None
    ) -> list[Message]:
        """Rows by ascending id: all, or the last `limit` of those older than the row `before`. Unknown or foreign sessions have none."""
        session = await self._database.read(store.find_session, session_id, viewer.owner_ids)
        if session is None:
            return []
        return await self._database.read(store.list_messages, session_id, limit, before)

    async def mark(
        self, viewer: Viewer, session_id: str, *, is_read: bool | None = None, is_archived: bool | None = None
    ) -> None:
        """Set the flags that are not None. NotFound when the session is unknown or somebody else's."""
        if not await self._database.run(
            store.set_flag, session_id, viewer.owner_ids, is_read=is_read, is_archived=is_archived
        ):
            raise NotFound(f"Session {session_id!r} not found")

    async def update(
        self, viewer: Viewer, session_id: str, *, title: str | None = None, is_pinned: bool | None = None
    ) -> Session:
        """Rename or pin: change what is not None. InvalidInput for a title that is no line of text, NotFound as `get`."""
        if title is not None:
            title = " ".join(title.split())
            if not 0 < len(title) <= MOST_TITLE:
                raise InvalidInput("The title is not usable", {"title": f"1 to {MOST_TITLE} characters"})
        session = await self._database.run(store.update, session_id, viewer.owner_ids, title=title, is_pinned=is_pinned)
        if session is None:
            raise NotFound(f"Session {session_id!r} not found")
        return session

    async def restore(self, viewer: Viewer, session_id: str) -> Session:
        """Bring back a deleted session. NotFound when the viewer has no such deleted session."""
        session = await self._database.run(store.restore, session_id, viewer.owner_ids)
        if session is None:
            raise NotFound(f"No deleted session {session_id!r}")
        return session

    async def search(self, viewer: Viewer, text: str, *, limit: int = 20) -> list[SessionHit]:
        """Sessions whose title or messages speak of `text`, the best first. Any text is a valid query."""
        words = search.parse_query(text)
        if not words:
            return []
        await self.index()
        return await self._database.read(search_store.search, viewer.owner_ids, words, limit)

    async def export(self, viewer: Viewer, session_id: str, form: Format) -> tuple[Session, AsyncIterator[bytes]]:
        """A session with all its branches as a file, in pieces. NotFound as `get`."""
        session = await self.get(viewer, session_id)
        turns = await self._database.read(export_store.list_turns, session_id)

        async def pages(after: int) -> list[Message]:
            return await self._database.read(export_store.list_page, session_id, after, export.PAGE)

        if form == "markdown":
            return session, export.as_markdown(session, turns, pages)
        files = await self._database.read(export_store.list_files, session_id)
        return session, export.as_json(session, turns, files, pages)

    async def turns(self, viewer: Viewer, session_id: str) -> list[ExportedTurn]:
        """Every turn of a session with what it used, in the order they were asked. NotFound as `get`."""
        await self.get(viewer, session_id)
        return await self._database.read(export_store.list_turns, session_id)

    async def index(self) -> None:
        """Bring the search index up to the newest message, a batch at a time."""
        while await self._database.read(search_store.is_behind):
            await self._database.run(search_store.catch_up)

    async def erase_user(self, user_id: str) -> int:
        """Delete all sessions of a user for good; returns how many. Their turns must have ended."""
        return await self._database.run(removal_store.erase_user, user_id)

    async def ping(self) -> None:
        """Unavailable when the database does not answer."""
        await self._database.check(store.list_sessions, None, SessionQuery(limit=1))


def session_key(channel_id: str | None, channel_session_key: str | None, user_id: str) -> SessionKey:
    """Map what a client names its channel to the session it means; on the main channel no key means a new conversation."""
    channel: Channel
    match channel_id:
        case "telegram" | "slack":
            channel, fallback = ("telegram" if channel_id == "telegram" else "slack"), user_id or "default"
        case "email":
            channel, fallback = "email", "unknown@sender"
        case _:
            channel, fallback = "main", str(uuid.uuid4())
    return SessionKey(channel, channel_session_key or fallback, user_id)


def title_of(text: str) -> str:
    """A session's title from its first message: up to 100 bytes, cut between characters, with `...` when something was cut."""
    text = " ".join(text.split())
    raw = text.encode()
    if len(raw) <= TITLE_BYTES:
        return text
    return raw[:TITLE_BYTES].decode(errors="ignore") + "..."
