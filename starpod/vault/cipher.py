"""Seals one value: AES-256-GCM with a fresh nonce, bound to its name so that rows cannot be swapped."""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class Cipher:
    """Seals and opens with one key."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.key_id = hashlib.sha256(b"starpod vault key\0" + key).hexdigest()[:16]
        """Tells keys apart without telling anything about them."""

    def seal(self, name: str, value: str) -> tuple[bytes, bytes]:
        """(nonce, sealed value with its tag)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._aead.encrypt(nonce, value.encode(), _bound_to(name))

    def open(self, name: str, nonce: bytes, sealed: bytes) -> str | None:
        """The value, None when the row is not what was sealed under this name with this key."""
        try:
            return self._aead.decrypt(nonce, sealed, _bound_to(name)).decode()
        except (InvalidTag, ValueError, TypeError):
            return None


def _bound_to(name: str) -> bytes:
    return b"starpod/vault/1/" + name.encode()
