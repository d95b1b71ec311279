"""`POST /v1/embeddings`, by the model that `embedding_model` names."""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from collections.abc import Sequence

from handlers.openai.base import OpenAIHandler
from handlers.openai.bodies import EmbeddingBody
from handlers.openai.shapes import EmbeddingAnswer, EmbeddingItem
from starpod.channels.openai.service import DEFAULT_MODEL


class EmbeddingHandler(OpenAIHandler):
    """Vectors of texts, at the caller's cost."""

    async def post(self) -> None:
        body = self.read_body(EmbeddingBody)
        embedded = await self.state.agent.embedders.embed(
            None if body.model in (None, "", DEFAULT_MODEL) else body.model,
            body.input,
            self.viewer.user_id or "admin",
            dimensions=body.dimensions,
        )
        data: list[EmbeddingItem] = [
            {"object": "embedding", "index": number, "embedding": _coded(vector, body.encoding_format)}
            for number, vector in enumerate(embedded.vectors)
        ]
        answer: EmbeddingAnswer = {
            "object": "list",
            "model": embedded.model,
            "data": data,
            "usage": {
                "prompt_tokens": embedded.tokens,
                "total_tokens": embedded.tokens,
                "cost_usd": embedded.cost_usd,
            },
        }
        self.send_json(answer)


def _coded(vector: Sequence[float], encoding: str | None) -> Sequence[float] | str:
    """Numbers, or 32-bit floats in base64 as OpenAI's own library asks for them."""
    if encoding != "base64":
        return vector
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
