"""Whether a page can be shown in a frame of the browser UI."""

from __future__ import annotations

from handlers.answers import FrameAnswer
from handlers.base import BaseHandler, Refused
from handlers.queries import FrameQuery
from starpod.net.framing import Origin


class FrameCheckHandler(BaseHandler):
    """`GET /api/frame-check?url=`."""

    async def get(self) -> None:
        url = self.read_query(FrameQuery).url
        if not url:
            raise Refused(400, "The query parameter url is missing")
        ours = Origin.of(f"{self.request.protocol}://{self.request.host}")
        frame = await self.state.frames.check(url, ours)
        body: FrameAnswer = {
            "frameable": frame.frameable,
            "reason": frame.reason,
            "ogImage": frame.image,
            "ogTitle": frame.title,
        }
        self.send_json(body)
