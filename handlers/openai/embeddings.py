"""`POST /v1/embeddings`, by the model that `embedding_model` names."""

from __future__ import annotations

import asyncio
import sys
from array import array
from base64 import b64encode
from collections.abc import Sequence

from pydantic_core import to_json

from handlers.openai.base import OpenAIHandler
from handlers.openai.bodies import EmbeddingBody
from handlers.openai.shapes import EmbeddingItem, EmbeddingUsage
from starpod.agent.embeddings import Embedded
from starpod.channels.openai.service import DEFAULT_MODEL


class EmbeddingHandler(OpenAIHandler):
    """Vectors of texts, at the caller's cost."""

    async def post(self) -> None:
        body = await self.read_large_body(EmbeddingBody)
        embedded = await self.state.agent.embedders.embed(
            None if body.model in (None, "", DEFAULT_MODEL) else body.model,
            body.input,
            self.viewer.user_id or "admin",
            dimensions=body.dimensions,
        )
        # Three million numbers, as they may come, take a fifth of a second to write.
        self.send_json(await asyncio.to_thread(_answer, embedded, body.encoding_format))


def _answer(embedded: Embedded, encoding: str | None) -> bytes:
    """The JSON of an `EmbeddingAnswer`, written item by item, so that between them the event loop gets its turn."""
    items = []
    for number, vector in enumerate(embedded.vectors):
        item: EmbeddingItem = {"object": "embedding", "index": number, "embedding": _coded(vector, encoding)}
        items.append(to_json(item, inf_nan_mode="null"))
    usage: EmbeddingUsage = {
        "prompt_tokens": embedded.tokens,
        "total_tokens": embedded.tokens,
        "cost_usd": embedded.cost_usd,
    }
    return b'{"object":"list","model":%s,"data":[%s],"usage":%s}' % (
        to_json(embedded.model),
        b",".join(items),
        to_json(usage),
    )


def _coded(vector: Sequence[float], encoding: str | None) -> Sequence[float] | str:
    """Numbers, or 32-bit floats in base64 as OpenAI's own library asks for them."""
    if encoding != "base64":
        return vector
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
