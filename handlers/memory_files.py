"""The memory page: a person's memory files, their history, and the way back to an earlier version."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, Field, TypeAdapter

from handlers.base import BaseHandler, Refused
from starpod.memory.files import LARGEST_BYTES
from starpod.memory.places import NOBODY
from starpod.memory.versions import Origin, Writer


class WriteBody(BaseModel):
    """The new text of a file. With `expected_hash` it is only written over the content of that hash ("" = no file yet)."""

    file: str
    content: str
    expected_hash: str | None = None


class RevertBody(BaseModel):
    """Go back to a version that the history names."""

    file: str
    version: int = Field(ge=1, le=2**53)


WRITE = TypeAdapter(WriteBody)
REVERT = TypeAdapter(RevertBody)


class _MemoryHandler(BaseHandler):
    @property
    def owner_id(self) -> str:
        """Whose files are meant."""
        return self.user.id if self.user is not None else NOBODY

    def writer(self, origin: Origin) -> Writer:
        """The caller as one who writes."""
        return Writer(self.owner_id, self.viewer.is_admin, origin)

    def file_argument(self) -> str:
        """`file` of the query string."""
        name = self.get_query_argument("file", None, strip=False)
        if not name:
            raise Refused(400, "Name the file: ?file=MEMORY.md")
        return name


class MemoryFilesHandler(_MemoryHandler):
    """`GET` and `PUT /api/memory/files`: the list, with `?file=` one file; writing one."""

    async def get(self) -> None:
        if self.get_query_argument("file", None) is None:
            files = await self.state.memory.list_files(self.owner_id, is_admin=self.viewer.is_admin)
            self.send_json([asdict(file) for file in files])
            return
        self.send_json(asdict(await self.state.memory.read(self.owner_id, self.file_argument())))

    async def put(self) -> None:
        body = self.read_body(WRITE)
        if len(body.content.encode(errors="replace")) > LARGEST_BYTES:
            raise Refused(413, f"The file may have {LARGEST_BYTES} bytes at most")
        written = await self.state.memory.write(
            self.writer("page"), body.file, body.content, expected_hash=body.expected_hash
        )
        self.send_json({"status": "ok"} | asdict(written))


class MemoryHistoryHandler(_MemoryHandler):
    """`GET /api/memory/history?file=&limit=50`: the versions of a file, the newest first; with `&version=` what one of them held."""

    async def get(self) -> None:
        name, is_admin = self.file_argument(), self.viewer.is_admin
        if (version := self.int_argument("version", None, least=1)) is not None:
            content = await self.state.memory.content_of(self.owner_id, name, version, is_admin=is_admin)
            self.send_json({"file": name, "version": version, "content": content})
            return
        limit = self.int_argument("limit", 50, least=1, most=200) or 50
        versions = await self.state.memory.history(self.owner_id, name, is_admin=is_admin, limit=limit)
        self.send_json([asdict(version) for version in versions])


class MemoryRevertHandler(_MemoryHandler):
    """`POST /api/memory/revert`."""

    async def post(self) -> None:
        body = self.read_body(REVERT)
        written = await self.state.memory.revert(self.writer("revert"), body.file, body.version)
        self.send_json({"status": "ok"} | asdict(written))
