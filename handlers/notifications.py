"""The bell: what the caller was told, also while no socket was open."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from handlers.base import BaseHandler
from starpod.notifications.types import Notification

MOST = 200


class SeenBody(BaseModel):
    """Which notifications were seen; without `ids`, all."""

    ids: list[Annotated[int, Field(ge=0, lt=2**63)]] | None = Field(default=None, max_length=MOST)


SEEN = TypeAdapter(SeenBody)


class NotificationListHandler(BaseHandler):
    """`GET /api/notifications?limit=50&before=ID`: the caller's own, the newest first; `unread` counts all of them."""

    async def get(self) -> None:
        limit = self.int_argument("limit", 50, least=1, most=MOST) or 50
        before = self.int_argument("before", None)
        found, unread = await self.state.notifications.page(self.viewer, limit=limit, before=before)
        self.send_json({"notifications": [_shown(each) for each in found], "unread": unread})


class NotificationReadHandler(BaseHandler):
    """`POST /api/notifications/read`: `{"ids": [..]}`, or `{}` for all."""

    async def post(self) -> None:
        body = self.read_body(SEEN)
        unread = await self.state.notifications.mark_read(self.viewer, body.ids)
        self.send_json({"ok": True, "unread": unread})


def _shown(each: Notification) -> dict[str, Any]:
    return {
        "id": each.id,
        "kind": each.kind,
        "title": each.title,
        "text": each.text,
        "success": each.success,
        "session_id": each.session_id,
        "created_at": each.created_at,
        "is_read": each.is_read,
    }
