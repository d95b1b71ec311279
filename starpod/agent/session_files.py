"""The files of a conversation, those that came with messages and those that came with answers: which there are, and what is in them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Protocol

from starpod.db.database import Database
from starpod.errors import NotFound
from starpod.sessions import files_store as files
from starpod.sessions import store as sessions
from starpod.sessions.types import SessionFile, Viewer
from starpod.tools import home as homes
from starpod.tools.browsing import MAX_RAW_BYTES
from starpod.tools.types import ToolFailure


class HomeOf(Protocol):
    """Where the agent works for a person."""

    def __call__(self, user_id: str, *, is_admin: bool) -> Path: ...


class SessionFiles:
    """Reads files; they are written by the turns that they belong to."""

    def __init__(self, database: Database, home: HomeOf) -> None:
        self._database = database
        self._home = home

    async def list(self, viewer: Viewer, session_id: str) -> list[SessionFile]:
        """The files of a session, the oldest first. NotFound for a session the viewer may not see."""
        await self._require(viewer, session_id)
        return await self._database.read(files.list_files, session_id)

    async def read(self, viewer: Viewer, session_id: str, file_id: str) -> tuple[SessionFile, bytes]:
        """A file as it lies in its owner's home now. NotFound when it is unknown, gone, or no longer a file of that home."""
        await self._require(viewer, session_id)
        found = await self._database.read(files.find_file, session_id, file_id)
        if found is None:
            raise NotFound("There is no such file in this session")
        file, place = found
        home = self._home(place.user_id, is_admin=place.is_admin)
        most = max(file.size_bytes, MAX_RAW_BYTES)
        try:
            data = await asyncio.to_thread(_read, home, place.path, most + 1)
        except (OSError, ToolFailure) as error:
            raise NotFound(f"'{file.file_name}' is no longer there") from error
        if len(data) > most:
            raise NotFound(f"'{file.file_name}' is no longer what it was, and has more than {most} bytes now")
        return file, data

    async def _require(self, viewer: Viewer, session_id: str) -> None:
        if await self._database.read(sessions.find_session, session_id, viewer.owner_ids) is None:
            raise NotFound(f"Session {session_id!r} not found")


def _read(home: Path, path: str, most: int) -> bytes:
    # Paths of answers' files are stored whole, those of messages' files within the home; a link may have taken the place of either.
    with os.fdopen(homes.open_file(home, homes.resolve(home, path)), "rb") as opened:
        return opened.read(most)
