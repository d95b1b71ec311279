"""Puts an edited `agent.toml` or `.env` into force while the gateway runs. An unusable file leaves the old settings as they are.

The observer's thread only reports that a file changed; the gateway's pulse calls `settle`, which does the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from watchdog.events import (
    FileClosedNoWriteEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from starpod.clock import Clock, SystemClock
from starpod.config.loader import LoadedConfig, diff_keys, load_config
from starpod.config.problems import ConfigError
from starpod.config.schema import RESTART_KEYS, Config
from starpod.events import ConfigRejected, ConfigReloaded, EventBus
from starpod.paths import Paths

logger = logging.getLogger(__name__)

# Editors write a file in several steps; this long after the last of them it is whole.
DEBOUNCE_S = 1.0


class ConfigWatcher:
    """Holds the settings in force. `last_error` is what is wrong with the file on disk, None when it is the one in force."""

    def __init__(
        self,
        paths: Paths,
        current: LoadedConfig,
        bus: EventBus,
        environ: Mapping[str, str],
        *,
        clock: Clock | None = None,
    ) -> None:
        self.last_error: str | None = None
        self._paths = paths
        self._current = current
        self._bus = bus
        self._environ = dict(environ)
        self._clock = clock or SystemClock()
        self._changed_at: float | None = None
        self._reading = asyncio.Lock()
        self._observer: BaseObserver | None = None

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self._current.config

    @property
    def current(self) -> LoadedConfig:
        """The settings in force with their warnings and the environment that belongs to them."""
        return self._current

    def start(self) -> None:
        """Begin to watch; call it on the event loop. A system that cannot watch is logged, and the gateway runs without."""
        handler = _Handler(asyncio.get_running_loop(), self)
        observer = Observer()
        # `.env` stands one folder above; neither folder is watched with what lies below it.
        folders = {folder for folder in (self._paths.agent_toml.parent, self._paths.agent_home) if folder.is_dir()}
        try:
            for folder in sorted(folders):
                observer.schedule(handler, str(folder), recursive=False)
            observer.start()
        except OSError as error:
            logger.warning("cannot watch the settings (%s): restart the gateway after editing them", error.strerror)
            return
        self._observer = observer
        # An edit made between the first reading and now would otherwise go unseen.
        self.note_change()

    async def close(self) -> None:
        """Stop watching; the settings in force stay readable."""
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            await asyncio.to_thread(observer.join, 5.0)

    def note_change(self) -> None:
        """Remember that a settings file changed now."""
        self._changed_at = self._clock.monotonic()

    def concerns(self, path: Path) -> bool:
        """Whether a change of `path` can change the settings.

        Any name beside agent.toml can: editors rename other files over it, mounted configurations swap a linked folder.
        """
        return path.parent == self._paths.agent_toml.parent or path == self._paths.env_file

    async def settle(self) -> None:
        """Reload when a change is at least a second old; else return at once. For the gateway's pulse."""
        if self._changed_at is None or self._reading.locked():
            return
        if self._clock.monotonic() - self._changed_at >= DEBOUNCE_S:
            await self.reload()

    async def reload(self) -> None:
        """Read the files now, off the loop; put them into force if they are valid and differ. Publishes what came of it."""
        async with self._reading:
            self._changed_at = None
            try:
                loaded = await asyncio.to_thread(load_config, self._paths, self._environ)
            except ConfigError as error:
                self._reject(str(error))
            else:
                self._accept(loaded)

    def _reject(self, reason: str) -> None:
        if reason == self.last_error:
            return
        self.last_error = reason
        logger.warning("settings not changed: %s", reason)
        self._bus.publish(ConfigRejected(reason))

    def _accept(self, loaded: LoadedConfig) -> None:
        mended, self.last_error = self.last_error is not None, None
        if loaded.text_digest == self._current.text_digest:
            if mended:  # the bad edit was taken back: those who showed the error must learn of it
                self._bus.publish(ConfigReloaded(()))
            return
        old, self._current = self._current, loaded
        changed = diff_keys(old.config, loaded.config) + _changed_variables(old.environ, loaded.environ)
        for warning in loaded.warnings:
            if warning not in old.warnings:
                logger.warning("%s", warning)
        logger.info("settings reloaded: %s", ", ".join(changed) or "nothing changed")
        for key in changed:
            if key in RESTART_KEYS:
                logger.warning("%s takes effect when the gateway is started again", key)
        if changed or mended:
            self._bus.publish(ConfigReloaded(changed))


class _Handler(FileSystemEventHandler):
    """Runs on the observer's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watcher: ConfigWatcher) -> None:
        self._loop = loop
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        # Our own reading opens and closes the file, and must not count as an edit.
        if isinstance(event, FileOpenedEvent | FileClosedNoWriteEvent):
            return
        places = (Path(os.fsdecode(place)) for place in (event.src_path, event.dest_path) if place)
        if any(self._watcher.concerns(place) for place in places):
            try:
                self._loop.call_soon_threadsafe(self._watcher.note_change)
            except RuntimeError:  # the loop closed while the observer was stopping
                logger.debug("a change was reported after the end")


def _changed_variables(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """`env.NAME` for each environment variable that `.env` now sets otherwise; never its value."""
    return tuple(f"env.{name}" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name))
