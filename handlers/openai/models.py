"""`GET /v1/models` and `GET /v1/models/:id`."""

from __future__ import annotations

from handlers.base import Refused
from handlers.openai.base import OpenAIHandler
from handlers.openai.shapes import ModelAnswer, ModelListAnswer


class ModelListHandler(OpenAIHandler):
    """What may stand for `model` in a request."""

    def get(self) -> None:
        answer: ModelListAnswer = {
            "object": "list",
            "data": [_model(name) for name in self.state.openai.model_ids()],
        }
        self.send_json(answer)


class ModelHandler(OpenAIHandler):
    """One of them."""

    def get(self, name: str) -> None:
        if name not in self.state.openai.model_ids():
            raise Refused(404, f"The model {name!r} does not exist; GET /v1/models lists those that do")
        self.send_json(_model(name))


def _model(name: str) -> ModelAnswer:
    return {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0]}
