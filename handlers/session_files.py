"""Files of conversations."""

from __future__ import annotations

from urllib.parse import quote

from handlers.base import BaseHandler
from handlers.queries import AskedQuery
from starpod.agent.attachments import IMAGE_TYPES


class SessionFileListHandler(BaseHandler):
    """`GET /api/sessions/:id/files`: what came with messages (`"direction": "in"`) and with answers (`"out"`)."""

    async def get(self, session_id: str) -> None:
        self.send_json(
            await self.state.agent.files.list(self.asked_viewer(self.read_query(AskedQuery).user), session_id)
        )


class SessionFileHandler(BaseHandler):
    """`GET /api/sessions/:id/files/:file_id`: a picture as itself, everything else only as a download."""

    async def get(self, session_id: str, file_id: str) -> None:
        file, data = await self.state.agent.files.read(
            self.asked_viewer(self.read_query(AskedQuery).user), session_id, file_id
        )
        is_picture = file.mime_type in IMAGE_TYPES
        self.set_header("Content-Type", file.mime_type if is_picture else "application/octet-stream")
        shown = "inline" if is_picture else "attachment"
        self.set_header("Content-Disposition", f"{shown}; filename*=UTF-8''{quote(file.file_name)}")
        # Whatever it is, opened by itself it is nothing that runs.
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        await self.finish(data)
