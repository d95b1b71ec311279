"""Runs the slow hash off the event loop, on one thread, and once a process for each key."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from starpod.auth.credentials import Hasher
from starpod.errors import Unavailable

MAX_WAITING = 16
MAX_VERIFIED = 256


class Verifier:
    """Checks keys that people chose. Callers with the same key wait for one check; beyond 16 different ones `Unavailable` is raised."""

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        # One thread: guesses may take one core, not all of them.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="key-hash")
        self._running: dict[tuple[str, str], asyncio.Future[bool]] = {}
        self._verified: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._generation = 0

    async def hash(self, key: str) -> str:
        """The slow hash of a new key."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hasher.hash, key)

    async def verify(self, digest: str, key: str, secret_hash: str) -> bool:
        """Whether `key`, whose digest is `digest`, made `secret_hash`."""
        pair = (digest, secret_hash)
        if pair in self._verified:
            self._verified.move_to_end(pair)
            return True
        running = self._running.get(pair)
        if running is None:
            if len(self._running) >= MAX_WAITING:
                raise Unavailable("Too many keys are being checked at once. Try again in a moment.")
            loop = asyncio.get_running_loop()
            running = self._running[pair] = loop.run_in_executor(self._pool, self._hasher.verify, secret_hash, key)
            running.add_done_callback(lambda _: self._running.pop(pair, None))
        generation = self._generation
        # Shielded: one caller who leaves must not take the answer from the others.
        matches = await asyncio.shield(running)
        if matches and generation == self._generation:
            self._verified[pair] = None
            while len(self._verified) > MAX_VERIFIED:
                self._verified.popitem(last=False)
        return matches

    def forget(self) -> None:
        """Check every key again from now on."""
        self._generation += 1
        self._verified.clear()

    def close(self) -> None:
        """End the thread, after the check that it is at; idempotent."""
        self._pool.shutdown(wait=True, cancel_futures=True)
