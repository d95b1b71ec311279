"""What is on its way to people outside: one's own, everybody's for admins."""

from __future__ import annotations

from datetime import UTC, datetime

from handlers.answers import DeliveryAnswer
from handlers.base import BaseHandler, number_of
from handlers.queries import DeliveryListQuery
from starpod.clock import format_time
from starpod.outbox.types import Delivery


class DeliveryListHandler(BaseHandler):
    """`GET /api/outbox?state=waiting|sending|sent|dead&limit=50&before=ID`: the newest first; `counts` counts all."""

    async def get(self) -> None:
        query = self.read_query(DeliveryListQuery)
        found, counts = await self.state.outbox.page(
            self.viewer, state=query.state, before=query.before, limit=query.limit
        )
        self.send_json({"deliveries": [_shown(each) for each in found], "counts": counts})


class DeliveryHandler(BaseHandler):
    """`DELETE /api/outbox/:id`: do not deliver it any more."""

    async def delete(self, delivery_id: str) -> None:
        await self.state.outbox.drop(self.viewer, number_of(delivery_id, "delivery"))
        self.set_status(204)
        self.finish()


class DeliveryRetryHandler(BaseHandler):
    """`POST /api/outbox/:id/retry`: try it again at once, also when it was given up."""

    async def post(self, delivery_id: str) -> None:
        await self.state.outbox.retry(self.viewer, number_of(delivery_id, "delivery"))
        self.send_json({"ok": True})


def _shown(each: Delivery) -> DeliveryAnswer:
    return {
        "id": each.id,
        "channel": each.channel,
        "user_id": each.user_id,
        "title": each.title,
        "text": each.text,
        "state": each.state,
        "attempts": each.attempts,
        "error": each.error,
        "created_at": _time(each.created_at),
        "next_attempt_at": _time(each.next_attempt_at) if each.state == "waiting" else None,
        "ended_at": _time(each.ended_at) if each.ended_at is not None else None,
    }


def _time(moment: float) -> str:
    return format_time(datetime.fromtimestamp(moment, UTC))
