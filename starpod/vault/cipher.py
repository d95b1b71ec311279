"""Seals one value: AES-256-GCM with a fresh nonce, bound to its name so that rows cannot be swapped."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12


class Cipher:
    """Seals and opens with one key. The first time brings a library of 6 MB in: not to be done on the event loop."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.key_id = hashlib.sha256(b"starpod vault key\0" + key).hexdigest()[:16]
        """Tells keys apart without telling anything about them."""

    def seal(self, name: str, value: str) -> tuple[bytes, bytes]:
        """(nonce, sealed value with its tag)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._aead.encrypt(nonce, value.encode(), _bound_to(name))

    def open(self, name: str, nonce: bytes, sealed: bytes) -> str | None:
        """The value, None when the row is not what was sealed under this name with this key."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._aead.decrypt(nonce, sealed, _bound_to(name)).decode()
        except (InvalidTag, ValueError, TypeError):
            return None

    @cached_property
    def _aead(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)


def _bound_to(name: str) -> bytes:
    return b"starpod/vault/1/" + name.encode()
