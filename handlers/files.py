"""The files page: what is in the caller's home. Only for those who may see files."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from urllib.parse import quote

from tornado.iostream import StreamClosedError

from handlers.base import BaseHandler, Refused
from handlers.queries import FilePathQuery, FileRawQuery, FileUploadQuery, FolderQuery
from handlers.schemas import FileMoveBody, FilePathBody, FileWriteBody
from starpod.errors import InvalidInput
from starpod.memory.places import NOBODY
from starpod.tools import browsing

NOT_ENABLED = "Filesystem access is not enabled for this user"
CHUNK_BYTES = 262_144
# What the page shows in a frame or as a picture cannot run anything, nor load what is not inside it.
PREVIEW_POLICY = (
    "sandbox; default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


class _FilesHandler(BaseHandler):
    async def prepare(self) -> None:
        await super().prepare()
        if self.user is not None and not self.user.filesystem_enabled:
            raise Refused(403, NOT_ENABLED)

    @property
    def home(self) -> Path:
        """The caller's home, the same in which the agent works for them."""
        user_id = self.user.id if self.user is not None else NOBODY
        return self.state.agent.home_of(user_id, is_admin=self.viewer.is_admin)


class FileListHandler(_FilesHandler):
    """`GET /api/files?path=.`: a folder; `DELETE /api/files?path=`: a file, or a folder with all that is in it."""

    async def get(self) -> None:
        path = self.read_query(FolderQuery).path or "."
        entries = await asyncio.to_thread(browsing.list_folder, self.home, path)
        self.send_json([asdict(entry) for entry in entries])

    async def delete(self) -> None:
        await asyncio.to_thread(browsing.delete, self.home, self.read_query(FilePathQuery).path)
        self.send_json({"status": "ok"})


class FileInfoHandler(_FilesHandler):
    """`GET /api/files/info?path=`: what it is, before anything is read."""

    async def get(self) -> None:
        path = self.read_query(FilePathQuery).path
        self.send_json(asdict(await asyncio.to_thread(browsing.describe, self.home, path)))


class FileTextHandler(_FilesHandler):
    """`GET /api/files/read?path=`: a text file."""

    async def get(self) -> None:
        path = self.read_query(FilePathQuery).path
        self.send_json(asdict(await asyncio.to_thread(browsing.read_text, self.home, path)))


class FileRawHandler(_FilesHandler):
    """`GET /api/files/raw?path=&download=`: a file's bytes; `PUT ?path=&replace=`: the body becomes the file."""

    body_limit = browsing.MAX_RAW_BYTES

    async def get(self) -> None:
        query = self.read_query(FileRawQuery)
        raw = await asyncio.to_thread(browsing.open_raw, self.home, query.path)
        with raw.file:
            kind = raw.mime_type
            self.set_header("Content-Type", f"{kind}; charset=UTF-8" if kind.startswith("text/") else kind)
            self.set_header("Content-Length", str(raw.size))
            self.set_header("Content-Security-Policy", PREVIEW_POLICY)
            self.set_header("X-Frame-Options", "SAMEORIGIN")
            name = quote(raw.name.encode(errors="replace"), safe="")
            self.set_header(
                "Content-Disposition", f"{'attachment' if query.download else 'inline'}; filename*=UTF-8''{name}"
            )
            left = raw.size if self.request.method != "HEAD" else 0
            try:
                while left and (chunk := await asyncio.to_thread(raw.file.read, min(CHUNK_BYTES, left))):
                    left -= len(chunk)
                    self.write(chunk)
                    await self.flush()
            except StreamClosedError:
                return
        if left:  # it became shorter meanwhile: what was announced cannot be kept
            self.request.connection.close()  # type: ignore[union-attr]

    async def put(self) -> None:
        query, data = self.read_query(FileUploadQuery), self.read_bytes()
        is_new = await asyncio.to_thread(browsing.write, self.home, query.path, data, may_replace=query.replace)
        self.send_json({"status": "ok"}, 201 if is_new else 200)


class FileWriteHandler(_FilesHandler):
    """`PUT /api/files/write`."""

    # JSON may need two bytes for one of the text.
    body_limit = 2 * browsing.MAX_TEXT_BYTES + 65_536

    async def put(self) -> None:
        body = self.read_body(FileWriteBody)
        try:
            data = body.content.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput("content: is not valid text", {"content": "is not valid text"}) from error
        if len(data) > browsing.MAX_TEXT_BYTES:
            raise Refused(413, f"The file may have {browsing.MAX_TEXT_BYTES} bytes at most")
        await asyncio.to_thread(browsing.write, self.home, body.path, data, expected_hash=body.expected_hash)
        self.send_json({"status": "ok"})


class FileFolderHandler(_FilesHandler):
    """`POST /api/files/mkdir`."""

    async def post(self) -> None:
        await asyncio.to_thread(browsing.make_folder, self.home, self.read_body(FilePathBody).path)
        self.send_json({"status": "ok"})


class MoveHandler(_FilesHandler):
    """`POST /api/files/move`."""

    async def post(self) -> None:
        body = self.read_body(FileMoveBody)
        await asyncio.to_thread(browsing.move, self.home, body.path, body.to)
        self.send_json({"status": "ok"})
