"""The bell: what the caller was told, also while no socket was open."""

from __future__ import annotations

from handlers.base import BaseHandler
from handlers.queries import NotificationListQuery
from handlers.schemas import SeenBody


class NotificationListHandler(BaseHandler):
    """`GET /api/notifications?limit=50&before=ID`: the caller's own, the newest first; `unread` counts all of them."""

    async def get(self) -> None:
        query = self.read_query(NotificationListQuery)
        found, unread = await self.state.notifications.page(self.viewer, limit=query.limit, before=query.before)
        self.send_json({"notifications": found, "unread": unread})


class NotificationReadHandler(BaseHandler):
    """`POST /api/notifications/read`: `{"ids": [..]}`, or `{}` for all."""

    async def post(self) -> None:
        body = self.read_body(SeenBody)
        unread = await self.state.notifications.mark_read(self.viewer, body.ids)
        self.send_json({"ok": True, "unread": unread})
