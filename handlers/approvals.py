"""Tool calls that wait for a person, and the answers that are remembered."""

from __future__ import annotations

from handlers.base import BaseHandler
from handlers.schemas import AnswerBody


class ApprovalHandler(BaseHandler):
    """`POST /api/sessions/:id/approvals/:approval_id`: for clients without a socket."""

    async def post(self, session_id: str, approval_id: str) -> None:
        body = self.read_body(AnswerBody)
        await self.state.agent.approvals.answer(self.viewer, session_id, approval_id, body.decision, body.remember)
        self.send_json({"ok": True})


class ApprovalListHandler(BaseHandler):
    """`GET /api/approvals`: what waits, and what is remembered."""

    async def get(self) -> None:
        approvals = self.state.agent.approvals
        self.send_json({"waiting": approvals.waiting(self.viewer), "remembered": await approvals.answers(self.viewer)})


class RememberedHandler(BaseHandler):
    """`DELETE /api/approvals/:id`: ask again next time."""

    async def delete(self, answer_id: str) -> None:
        await self.state.agent.approvals.forget(self.viewer, answer_id)
        self.set_status(204)
        await self.finish()
