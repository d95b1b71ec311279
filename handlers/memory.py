"""Searching memory, and building its index anew."""

from __future__ import annotations

from datetime import date

from handlers.base import BaseHandler
from starpod.errors import InvalidInput
from starpod.memory.types import KINDS

MOST_RESULTS = 50


class MemorySearchHandler(BaseHandler):
    """`GET /api/memory/search?q=&limit=10&kind=&source=&since=&until=`: any text is a question."""

    async def get(self) -> None:
        text = self.get_query_argument("q", None, strip=False)
        if text is None:
            raise InvalidInput("q is missing", fields={"q": "say what to search for"})
        kind = self.get_query_argument("kind", None) or None
        if kind is not None and kind not in KINDS:
            raise InvalidInput("There is no such kind", fields={"kind": f"must be one of {', '.join(KINDS)}"})
        hits = await self.state.memory_index.search(
            text,
            user_id=self.viewer.user_id,
            is_admin=self.viewer.is_admin,
            limit=min(self.int_argument("limit", 10) or 0, MOST_RESULTS),
            kind=kind,
            source=self.get_query_argument("source", None) or None,
            since=self._day("since"),
            until=self._day("until"),
        )
        self.send_json(hits)

    def _day(self, name: str) -> str | None:
        given = self.get_query_argument(name, None)
        if not given:
            return None
        try:
            return date.fromisoformat(given[:10]).isoformat()
        except ValueError as error:
            raise InvalidInput(f"{name} is no day", fields={name: "must be a day such as 2026-03-20"}) from error


class MemoryReindexHandler(BaseHandler):
    """`POST /api/memory/reindex`: answers when the new index is in place; searches go on meanwhile."""

    async def post(self) -> None:
        done = await self.state.memory_index.reindex()
        self.send_json({"status": "ok", "files": done.files, "chunks": done.chunks, "seconds": done.seconds})
