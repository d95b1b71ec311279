"""Reports that memory files were changed by hand. The observer's thread only hops onto the loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

logger = logging.getLogger(__name__)

_ENDED: list[type[FileSystemEvent]] = [
    FileClosedEvent, FileCreatedEvent, FileDeletedEvent, FileMovedEvent,
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent,
]  # fmt: skip
# Where the end of writing is told, its steps are left out: the databases in the same folder write all the time.
EVENTS = _ENDED if sys.platform.startswith("linux") else [*_ENDED, FileModifiedEvent]


class FolderWatch:
    """Calls `note(path)` on the loop for every markdown file or folder that changed in the folders that `find` names.

    Each is watched by itself: a watch over everything below would also follow what people build in their homes.
    """

    def __init__(self, find: Callable[[], set[Path]], note: Callable[[Path], None]) -> None:
        self._find = find
        self._note = note
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, ObservedWatch] = {}
        self._handler: _Handler | None = None

    async def start(self) -> bool:
        """Begin to watch; False when the system cannot."""
        observer = Observer()
        self._handler = _Handler(asyncio.get_running_loop(), self._note)

        try:
            await asyncio.to_thread(self._adjust, observer)
            await asyncio.to_thread(observer.start)
        except OSError as error:
            logger.warning("cannot watch the memory files (%s): edits by hand are found a minute later", error.strerror)
            return False
        self._observer = observer
        return True

    async def follow(self) -> None:
        """Watch folders that are new, forget those that are gone."""
        if self._observer is not None:
            try:
                await asyncio.to_thread(self._adjust, self._observer)
            except OSError as error:
                logger.warning("cannot watch a new folder of memory files (%s)", error.strerror)

    def _adjust(self, observer: BaseObserver) -> None:
        assert self._handler is not None
        wanted = self._find()
        for folder in sorted(self._watches.keys() - wanted):
            watch = self._watches.pop(folder)
            with contextlib.suppress(KeyError, OSError):
                observer.unschedule(watch)
        for folder in sorted(wanted - self._watches.keys()):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                self._watches[folder] = observer.schedule(
                    self._handler, str(folder), recursive=False, event_filter=EVENTS
                )

    async def close(self) -> None:
        """Stop watching."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            await asyncio.to_thread(observer.join, 5.0)


class _Handler(FileSystemEventHandler):
    """Runs on the observer's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, note: Callable[[Path], None]) -> None:
        self._loop = loop
        self._note = note

    def on_any_event(self, event: FileSystemEvent) -> None:
        for place in (event.src_path, event.dest_path):
            path = os.fsdecode(place) if place else ""
            if path.endswith(".md") or (path and event.is_directory):
                try:
                    self._loop.call_soon_threadsafe(self._note, Path(path))
                except RuntimeError:  # the loop closed while the observer was stopping
                    logger.debug("a change was reported after the end")
