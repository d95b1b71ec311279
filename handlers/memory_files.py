"""The memory page: a person's memory files, their history, and the way back to an earlier version."""

from __future__ import annotations

from dataclasses import asdict

from handlers.answers import MemoryVersion
from handlers.base import BaseHandler, Refused
from handlers.queries import MemoryFileQuery, MemoryHistoryQuery
from handlers.schemas import MemoryRevertBody, MemoryWriteBody
from starpod.memory.files import LARGEST_BYTES
from starpod.memory.places import NOBODY
from starpod.memory.versions import Origin, Writer


class _MemoryHandler(BaseHandler):
    @property
    def owner_id(self) -> str:
        """Whose files are meant."""
        return self.user.id if self.user is not None else NOBODY

    def writer(self, origin: Origin) -> Writer:
        """The caller as one who writes."""
        return Writer(self.owner_id, self.viewer.is_admin, origin)


class MemoryFilesHandler(_MemoryHandler):
    """`GET` and `PUT /api/memory/files`: the list, with `?file=` one file; writing one."""

    async def get(self) -> None:
        name = self.read_query(MemoryFileQuery).file
        if name is None:
            files = await self.state.memory.list_files(self.owner_id, is_admin=self.viewer.is_admin)
            self.send_json([asdict(file) for file in files])
            return
        self.send_json(asdict(await self.state.memory.read(self.owner_id, name)))

    async def put(self) -> None:
        body = self.read_body(MemoryWriteBody)
        if len(body.content.encode(errors="replace")) > LARGEST_BYTES:
            raise Refused(413, f"The file may have {LARGEST_BYTES} bytes at most")
        written = await self.state.memory.write(
            self.writer("page"), body.file, body.content, expected_hash=body.expected_hash
        )
        self.send_json({"status": "ok"} | asdict(written))


class MemoryHistoryHandler(_MemoryHandler):
    """`GET /api/memory/history?file=&limit=50`: the versions of a file, the newest first; with `&version=` what one of them held."""

    async def get(self) -> None:
        query, is_admin = self.read_query(MemoryHistoryQuery), self.viewer.is_admin
        memory, name = self.state.memory, query.file
        if query.version is not None:
            content = await memory.content_of(self.owner_id, name, query.version, is_admin=is_admin)
            body: MemoryVersion = {"file": name, "version": query.version, "content": content}
            return self.send_json(body)
        versions = await memory.history(self.owner_id, name, is_admin=is_admin, limit=query.limit)
        self.send_json([asdict(version) for version in versions])


class MemoryRevertHandler(_MemoryHandler):
    """`POST /api/memory/revert`."""

    async def post(self) -> None:
        body = self.read_body(MemoryRevertBody)
        written = await self.state.memory.revert(self.writer("revert"), body.file, body.version)
        self.send_json({"status": "ok"} | asdict(written))
