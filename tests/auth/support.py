"""What the auth tests share besides fixtures."""

from __future__ import annotations

import hashlib
import threading


class CountingHasher:
    """A quick hash in the place of argon2 that counts its checks and can be held back."""

    def __init__(self) -> None:
        self.checks = 0
        self.gate = threading.Event()
        self.gate.set()

    def hash(self, secret: str) -> str:
        return f"$quick${hashlib.sha256(secret.encode()).hexdigest()}"

    def verify(self, secret_hash: str, secret: str) -> bool:
        assert self.gate.wait(10)
        self.checks += 1
        return secret_hash == self.hash(secret)
