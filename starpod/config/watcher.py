"""Puts an edited `agent.toml`, `.env` or other settings file into force while the gateway runs. An unusable file leaves the old settings
as they are.

The observer's thread only reports that a file changed; the gateway's pulse calls `settle`, which does the rest. It also looks at the files
itself: no observer hears of an edit behind a link, in a bind-mounted file, or on a network drive.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping
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
from starpod.errors import StarpodError
from starpod.events import ConfigRejected, ConfigReloaded, EventBus
from starpod.paths import Paths

logger = logging.getLogger(__name__)

# Editors write a file in several steps; this long after the last of them it is whole.
DEBOUNCE_S = 1.0
# Variables of `.env` that are read once.
RESTART_VARIABLES = frozenset({"STARPOD_VAULT_KEY"})
PLACE = re.compile(r"(?P<file>[^,:]+?)(?:, line (?P<line>\d+))?(?:, column \d+)?: ")

Stamp = tuple[tuple[int, int, int] | None, ...]
Apply = Callable[[Path], Awaitable[None]]
"""Puts another file, which may be missing, into force; raises ConfigError when it cannot be used.

What else it raises does not keep the other files from their turn."""


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
        self.problems: dict[str, str] = {}
        """What is wrong with other files, by name."""
        self._paths = paths
        self._started = current
        self._current = current
        self._others: dict[str, Apply] = {}
        self._digests: dict[str, str | None] = {}
        self._stamp: Stamp | None = None
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

    @property
    def restart_needed(self) -> tuple[str, ...]:
        """What is set otherwise than when the gateway was started, and acts only when it is started again."""
        changed = diff_keys(self._started.config, self._current.config)
        variables = _changed_variables(self._started.environ, self._current.environ)
        return tuple(key for key in changed + variables if _needs_restart(key))

    async def add_file(self, name: str, apply: Apply) -> None:
        """Call `apply` whenever the file of this name beside agent.toml has changed. It is taken to be in force now."""
        self._others[name] = apply
        self._digests[name] = await asyncio.to_thread(_digest, self._paths.config_dir / name)

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
            logger.info("settings are looked at once a second: they cannot be watched (%s)", error.strerror)
            self.note_change()
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
        if path in (self._paths.env_file, self._paths.config_dir):
            return True
        return path.parent in (self._paths.agent_toml.parent, self._paths.config_dir)

    async def settle(self) -> None:
        """Look at the files; reload when a change is at least a second old. For the gateway's pulse."""
        if self._reading.locked():
            return
        if self._changed_at is None:
            before, self._stamp = self._stamp, await asyncio.to_thread(self._look)
            if before in (None, self._stamp):
                return
            # Seen late already: half the wait is left.
            self._changed_at = self._clock.monotonic() - DEBOUNCE_S / 2
        if self._clock.monotonic() - self._changed_at >= DEBOUNCE_S:
            await self.reload()

    async def reload(self) -> None:
        """Read the files now, off the loop; put them into force if they are valid and differ. Publishes what came of it."""
        async with self._reading:
            self._changed_at = None
            self._stamp = await asyncio.to_thread(self._look)
            loaded: LoadedConfig | None = None
            try:
                loaded = await asyncio.to_thread(load_config, self._paths, self._environ)
            except ConfigError as error:
                self._reject(str(error))
            changed, mended = await self._apply_others()
            if loaded is not None:
                self._accept(loaded, changed, mended)
            elif changed or mended:
                self._publish(changed)

    async def _apply_others(self) -> tuple[tuple[str, ...], bool]:
        """Put the other files that changed into force; their names, and whether one that was unusable is now as it was before."""
        changed, mended = [], False
        for name, apply in self._others.items():
            path = self._paths.config_dir / name
            digest = await asyncio.to_thread(_digest, path)
            if digest == self._digests[name] and name not in self.problems:
                continue
            try:
                await apply(path)
            except StarpodError as error:
                reason = str(error)
                if self.problems.get(name) != reason:
                    self.problems[name] = reason
                    self._tell(reason)
                if not isinstance(error, ConfigError):
                    self.note_change()  # the file is good, so it is tried again
                continue
            except Exception:
                logger.exception("%s could not be put into force", name)
                continue
            mended = self.problems.pop(name, None) is not None or mended
            if digest != self._digests[name]:
                self._digests[name] = digest
                changed.append(name)
        return tuple(changed), mended

    def _look(self) -> Stamp:
        """When the files last changed, as far as the file system tells."""
        others = (self._paths.config_dir / name for name in self._others)
        places = (self._paths.agent_toml, self._paths.env_file, *others)
        return tuple(_stamp(path) for path in places)

    def _reject(self, reason: str) -> None:
        if reason != self.last_error:
            self.last_error = reason
            self._tell(reason)

    def _tell(self, reason: str) -> None:
        logger.warning("settings not changed: %s", reason)
        place = PLACE.match(reason)
        line = place["line"] if place else None
        self._bus.publish(ConfigRejected(reason, place["file"] if place else "", int(line) if line else None))

    def _accept(self, loaded: LoadedConfig, others: tuple[str, ...], mended: bool) -> None:
        mended, self.last_error = mended or self.last_error is not None, None
        changed: tuple[str, ...] = others
        if loaded.text_digest != self._current.text_digest:
            old, self._current = self._current, loaded
            own = diff_keys(old.config, loaded.config) + _changed_variables(old.environ, loaded.environ)
            for warning in loaded.warnings:
                if warning not in old.warnings:
                    logger.warning("%s", warning)
            logger.info("settings reloaded: %s", ", ".join(own + others) or "nothing changed")
            for key in own:
                if _needs_restart(key):
                    logger.warning("%s takes effect when the gateway is started again", key)
            changed = own + others
        if changed or mended:  # a bad edit that was taken back counts: those who showed the error must learn of it
            self._publish(changed)

    def _publish(self, changed: tuple[str, ...]) -> None:
        self._bus.publish(ConfigReloaded(changed, self.restart_needed))


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


def _needs_restart(key: str) -> bool:
    return key in RESTART_KEYS or key.removeprefix("env.") in RESTART_VARIABLES


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _digest(path: Path) -> str | None:
    """What the file says, in short; None when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
