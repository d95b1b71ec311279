"""Searching memory, and building its index anew."""

from __future__ import annotations

from handlers.answers import MemoryIndexed
from handlers.base import BaseHandler
from handlers.queries import MemorySearchQuery

MOST_RESULTS = 50


class MemorySearchHandler(BaseHandler):
    """`GET /api/memory/search?q=&limit=10&kind=&source=&since=&until=`: any text is a question."""

    async def get(self) -> None:
        query = self.read_query(MemorySearchQuery)
        hits = await self.state.memory_index.search(
            query.q,
            user_id=self.viewer.user_id,
            is_admin=self.viewer.is_admin,
            limit=min(query.limit, MOST_RESULTS),
            kind=query.kind,
            source=query.source,
            since=query.since,
            until=query.until,
        )
        self.send_json(hits)


class MemoryReindexHandler(BaseHandler):
    """`POST /api/memory/reindex`: answers when the new index is in place; searches go on meanwhile."""

    async def post(self) -> None:
        done = await self.state.memory_index.reindex()
        body: MemoryIndexed = {"status": "ok", "files": done.files, "chunks": done.chunks, "seconds": done.seconds}
        self.send_json(body)
