"""Sliding windows: how often somebody may do something. For one event loop; every map is bounded."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict, deque

from starpod.clock import Clock


class SlidingWindow:
    """At most `limit` hits in any `window_s` seconds for each key (a user's id, an address). A limit of 0 allows everything.

    Beyond `max_keys` keys the one that tried least recently is forgotten.
    """

    def __init__(self, limit: int, window_s: float, clock: Clock, *, max_keys: int = 4096) -> None:
        self._limit = limit
        self._window_s = window_s
        self._clock = clock
        self._max_keys = max_keys
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hits)

    def hit(self, key: str) -> float | None:
        """Count one and return None, or, when there were too many, count nothing and return the seconds to wait."""
        if self._limit <= 0:
            return None
        now = self._clock.monotonic()
        hits = self._hits.get(key)
        if hits is None:
            hits = self._hits[key] = deque()
            if len(self._hits) > self._max_keys:
                self._hits.popitem(last=False)
        self._hits.move_to_end(key)
        if (wait_s := self._wait(hits, now)) is not None:
            return wait_s
        hits.append(now)
        return None

    def peek(self, key: str) -> float | None:
        """What `hit` would return, without counting."""
        hits = self._hits.get(key)
        return None if hits is None or self._limit <= 0 else self._wait(hits, self._clock.monotonic())

    def resize(self, limit: int, window_s: float) -> None:
        """Apply new settings; what was counted still counts."""
        self._limit = limit
        self._window_s = window_s
        if limit <= 0:
            self._hits.clear()

    def sweep(self) -> None:
        """Forget the keys without a hit in the window."""
        oldest = self._clock.monotonic() - self._window_s
        for key in [key for key, hits in self._hits.items() if not hits or hits[-1] <= oldest]:
            del self._hits[key]

    def _wait(self, hits: deque[float], now: float) -> float | None:
        oldest = now - self._window_s
        while hits and hits[0] <= oldest:
            hits.popleft()
        if len(hits) < self._limit:
            return None
        # Room comes when as many have left that fewer than the limit remain; after a resize that may be several.
        return hits[len(hits) - self._limit] + self._window_s - now


class FailedAttempts:
    """Wrong credentials by address. A right one does not wipe the count: whoever owns one key could then guess at another's without end."""

    def __init__(self, limit: int, window_s: float, clock: Clock, *, max_addresses: int = 4096) -> None:
        self._window = SlidingWindow(limit, window_s, clock, max_keys=max_addresses)

    def record(self, address: str | None) -> None:
        """Count one wrong credential from the address."""
        self._window.hit(address_key(address))

    def blocked(self, address: str | None) -> float | None:
        """Seconds until the address may try again, or None when it may now."""
        return self._window.peek(address_key(address))

    def resize(self, limit: int, window_s: float) -> None:
        """Apply new settings; what was counted still counts."""
        self._window.resize(limit, window_s)

    def sweep(self) -> None:
        """Forget the addresses without a failure in the window."""
        self._window.sweep()


def address_key(address: str | None) -> str:
    """What is counted together: one IPv4 address, or one IPv6 network of 64 bits, which is what a single household gets."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))


def retry_after(wait_s: float) -> int:
    """The value of a Retry-After header: whole seconds, at least one."""
    return max(1, math.ceil(wait_s))
