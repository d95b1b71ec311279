"""The newest lines of the gateway's own log, for admins."""

from __future__ import annotations

import logging

from handlers.base import BaseHandler
from handlers.queries import LogQuery


class LogHandler(BaseHandler):
    """`GET /api/logs?tail=200&level=info&after=ID`: the oldest first; `after` is the id of the last line seen."""

    async def get(self) -> None:
        query = self.read_query(LogQuery)
        level = logging.getLevelNamesMapping()[query.level.upper()]
        self.send_json(self.state.agent.telemetry.recent.newest(query.tail, level, query.after))
