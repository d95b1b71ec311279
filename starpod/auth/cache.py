"""Answers that were just looked up, so that a busy client costs no database read per request."""

from __future__ import annotations

from collections import OrderedDict

from starpod.auth.types import MISS, Miss, User
from starpod.clock import Clock


class AnswerCache:
    """Digest of a credential -> its user, or None for a wrong one. For one event loop; bounded.

    Answers live for at most `ttl_s` seconds, because another process may revoke a key. Wrong credentials have a shelf of their own: a flood
    of them never pushes out the answers of those who are let in.
    """

    def __init__(self, clock: Clock, *, ttl_s: float = 2.0, max_known: int = 4096, max_unknown: int = 1024) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._max_known = max_known
        self._max_unknown = max_unknown
        self._known: OrderedDict[str, tuple[User, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._known) + len(self._unknown)

    def get(self, digest: str) -> User | Miss | None:
        """The answer while it is fresh, else MISS."""
        now = self._clock.monotonic()
        known = self._known.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        until = self._unknown.get(digest)
        return None if until is not None and now < until else MISS

    def put(self, digest: str, user: User | None, generation: int, *, lifetime_s: float | None = None) -> None:
        """Keep an answer, for less than the usual time when the credential itself ends in `lifetime_s` seconds.

        `generation` is the cache's at the moment the look-up began: an answer from before a `clear` is not kept.
        """
        if generation != self.generation:
            return
        until = self._clock.monotonic() + (self._ttl_s if lifetime_s is None else min(self._ttl_s, lifetime_s))
        if user is None:
            self._unknown[digest] = until
            self._unknown.move_to_end(digest)
            _shrink(self._unknown, self._max_unknown)
        else:
            self._unknown.pop(digest, None)
            self._known[digest] = (user, until)
            self._known.move_to_end(digest)
            _shrink(self._known, self._max_known)

    def clear(self) -> None:
        """Forget everything, also what is being looked up right now."""
        self.generation += 1
        self._known.clear()
        self._unknown.clear()

    def sweep(self) -> None:
        """Drop what is no longer fresh."""
        now = self._clock.monotonic()
        for digest in [digest for digest, (_, until) in self._known.items() if until <= now]:
            del self._known[digest]
        for digest in [digest for digest, until in self._unknown.items() if until <= now]:
            del self._unknown[digest]


def _shrink(shelf: OrderedDict[str, tuple[User, float]] | OrderedDict[str, float], limit: int) -> None:
    while len(shelf) > limit:
        shelf.popitem(last=False)
