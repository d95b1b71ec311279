"""Does a model's key work?"""

from __future__ import annotations

from handlers.admin_schemas import ModelTestBody
from handlers.base import BaseHandler


class ModelTestHandler(BaseHandler):
    """`POST /api/settings/models/test`: always 200 once the model was asked; `ok` and `error` say how it went."""

    async def post(self) -> None:
        body = self.read_body(ModelTestBody)
        self.send_json(await self.state.agent.test_model(body.model, self.user.id if self.user is not None else None))
