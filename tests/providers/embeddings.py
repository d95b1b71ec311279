"""`/v1/embeddings` of the scripted OpenAI: vectors by groups of words that mean the same, so that a paraphrase is near."""

from __future__ import annotations

import json
import re
import threading
from array import array
from base64 import b64encode
from dataclasses import dataclass, field

import tornado.web

MEANINGS = (
    {"boiler", "heating", "furnace", "radiator", "warmth"},
    {"cat", "pet", "kitten", "vet"},
    {"bicycle", "bike", "cycle"},
    {"salary", "wage", "pay", "income"},
)


@dataclass
class Embedded:
    """The texts of every request, in order. `down` answers 503; `length` is that of the vectors."""

    requests: list[list[str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    down: bool = False
    length: int = len(MEANINGS) + 1
    asked: threading.Event = field(default_factory=threading.Event)

    @property
    def texts(self) -> list[str]:
        return [text for request in self.requests for text in request]


def vector(text: str, length: int) -> list[float]:
    """How many words of each meaning the text has, and a little of nothing."""
    words = re.findall(r"\w+", text.casefold())
    counts = [float(sum(word in meaning for word in words)) for meaning in MEANINGS]
    return [*counts, *([0.1] * (length - len(counts)))]


class EmbeddingsHandler(tornado.web.RequestHandler):
    def initialize(self, embedded: Embedded) -> None:
        self.embedded = embedded

    def post(self) -> None:
        body = json.loads(self.request.body)
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        self.embedded.requests.append(texts)
        self.embedded.keys.append(self.request.headers.get("Authorization"))
        self.embedded.asked.set()
        if self.embedded.down:
            self.set_status(503)
            self.finish({"error": {"message": "overloaded", "type": "server_error", "code": None}})
            return
        vectors = [vector(text, self.embedded.length) for text in texts]
        data = [
            {"object": "embedding", "index": n, "embedding": self._coded(each, body)} for n, each in enumerate(vectors)
        ]
        usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
        self.finish({"object": "list", "model": body["model"], "data": data, "usage": usage})

    @staticmethod
    def _coded(each: list[float], body: dict[str, object]) -> object:
        return b64encode(array("f", each).tobytes()).decode() if body.get("encoding_format") == "base64" else each
