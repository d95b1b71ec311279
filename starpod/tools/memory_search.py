"""MemorySearch: finds what is remembered, in memory files and earlier conversations."""

from __future__ import annotations

import json

from pydantic import Field

from starpod.errors import StarpodError
from starpod.memory.index import MemoryIndex
from starpod.memory.types import Hit
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

MAX_RESULT_CHARS = 40_000


class SearchArguments(Arguments):
    query: str = Field(description="What to look for: a plain question or a few words; days may be named")
    limit: int = Field(default=5, ge=1, le=50, description="How many passages at most")


_DESCRIPTION = (
    "Search everything that is remembered: memory files, daily logs and earlier conversations. "
    "Use it before you say that you do not know something about the person or the past."
)


def memory_search_tools(index: MemoryIndex) -> tuple[ToolSpec, ...]:
    """The tool that searches `index` on behalf of the turn's user."""

    async def search(context: ToolContext, arguments: SearchArguments) -> str:
        try:
            hits = await index.search(
                arguments.query, user_id=context.user_id, is_admin=context.role == "admin", limit=arguments.limit
            )
        except StarpodError as error:
            raise ToolFailure(str(error)) from error
        return json.dumps(_within_limit(hits), ensure_ascii=False)

    return (ToolSpec("MemorySearch", _DESCRIPTION, SearchArguments, search),)


def _within_limit(hits: list[Hit]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    left = MAX_RESULT_CHARS
    for hit in hits:
        left -= len(hit.text)
        if found and left < 0:
            break
        lines = f"{hit.line_start}-{hit.line_end}"
        entry = {
            "source": hit.source,
            "text": hit.text,
            "lines": lines,
            "citation": f"{hit.source}#L{hit.line_start}-L{hit.line_end}",
        }
        found.append(entry | ({"said_by": hit.role or "", "date": hit.date or ""} if hit.kind == "message" else {}))
    return found
