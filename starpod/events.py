"""The event bus: services publish what happened, sockets and channels subscribe with a filter. It knows no event type."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

Listener = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class AccessChanged:
    """Somebody's rights changed: deactivated, deleted, promoted, a key revoked. None: it may be anybody's."""

    user_id: str | None


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """A new configuration is in force; `changed` lists the dotted keys whose values differ from before (`env.NAME` for a variable,
    a file's name for another file). Those in `restart_needed` differ from what the gateway was started with."""

    changed: tuple[str, ...]
    restart_needed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigRejected:
    """A config file was edited into something unusable; the old configuration stays in force. `reason` is one line, fit to show."""

    reason: str
    file: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class VaultChanged:
    """Secrets have come, gone or changed; they are in force already."""


class EventBus:
    """Synchronous fan-out on the event loop. A listener must return at once; a failing one never stops the others."""

    def __init__(self) -> None:
        self._listeners: dict[int, tuple[type | tuple[type, ...], Listener]] = {}
        self._next_id = 0

    def subscribe(self, kinds: type | tuple[type, ...], listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event that is an instance of `kinds`; the returned function ends that."""
        self._next_id += 1
        key = self._next_id
        self._listeners[key] = (kinds, listener)
        return lambda: self._listeners.pop(key, None) and None

    def publish(self, event: object) -> None:
        """Hand `event` to its listeners. Having none is not an error."""
        for kinds, listener in list(self._listeners.values()):
            if isinstance(event, kinds):
                try:
                    listener(event)
                except Exception:
                    logger.exception("a listener failed on %s", type(event).__name__)
