"""The credentials themselves: making them, and the digests that are stored instead of them.

What we make is random enough (160 bits and more) that a plain SHA-256 cannot be reversed. A key that a person chose gets argon2id.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from argon2 import PasswordHasher

logger = logging.getLogger(__name__)

KEY_START = "sp_live_"
CODE_START = "sp_code_"
MAX_LENGTH = 256
_GENERATED = re.compile(r"sp_live_[0-9a-f]{40}")
_PREFIX_LENGTH = 8
# Fewer than ten different ones among 40 random digits are met once in a million keys.
LEAST_DIGITS = 10


class Hasher(Protocol):
    """A slow hash for secrets that people choose. Both functions take tens of milliseconds: never call them on the event loop."""

    def hash(self, secret: str) -> str:
        """A salted hash of `secret` in a form of its own."""
        ...

    def verify(self, secret_hash: str, secret: str) -> bool:
        """Whether `secret` made `secret_hash`; False for a hash of another form."""
        ...


class Argon2Hasher:
    """argon2id with 19 MiB, two passes and one lane (the OWASP minimum), as PHC strings."""

    def hash(self, secret: str) -> str:
        return self._hasher.hash(secret)

    def verify(self, secret_hash: str, secret: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        try:
            return self._hasher.verify(secret_hash, secret)
        except InvalidHashError:
            logger.warning("a stored key hash is not argon2; revoke that key and make another")
            return False
        except Argon2Error:
            return False

    @cached_property
    def _hasher(self) -> PasswordHasher:
        # Imported on first use: 29 ms that most gateways never need.
        from argon2 import PasswordHasher

        return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def is_usable(credential: str) -> bool:
    """Whether it can be a credential at all: 1 to 256 printable ASCII characters. Anything else needs no look-up."""
    return 0 < len(credential) <= MAX_LENGTH and credential.isascii() and credential.isprintable()


def is_generated(key: str) -> bool:
    """Whether the key looks like one that `new_key` made, here or elsewhere; one that a person typed would repeat a few digits."""
    return _GENERATED.fullmatch(key) is not None and len(set(key.removeprefix(KEY_START))) >= LEAST_DIGITS


def digest(credential: str) -> str:
    """SHA-256 of a usable credential, as hex."""
    return hashlib.sha256(credential.encode("ascii")).hexdigest()


def key_hash(key: str) -> str:
    """What `api_keys.key_hash` holds for a generated key."""
    return f"sha256:{digest(key)}"


def is_fast_hash(stored: str) -> bool:
    """Whether `stored` came from `key_hash`, so that no slow hash is needed."""
    return stored.startswith("sha256:")


def same_hash(one: str, other: str) -> bool:
    """Compare two stored hashes in constant time."""
    return hmac.compare_digest(one, other)


def key_prefix(key: str) -> str:
    """What `api_keys.prefix` holds: eight characters that find the key and name it in lists.

    Of a key that somebody chose never more than half is stored: eight characters may be nearly all of it.
    """
    if _GENERATED.fullmatch(key):
        return key[len(KEY_START) : len(KEY_START) + _PREFIX_LENGTH]
    return key[: min(_PREFIX_LENGTH, (len(key) + 1) // 2)]


def sign_in_id(token: str) -> str:
    """The id of the sign-in that a cookie stands for; it tells nothing about the cookie."""
    return digest(f"id:{token}")[:32]


def new_key() -> str:
    """`sp_live_` and 40 hex characters: 160 random bits."""
    return KEY_START + secrets.token_hex(20)


def new_code() -> str:
    """A one-time sign-in code, safe in a URL."""
    return CODE_START + secrets.token_urlsafe(24)


def new_token() -> str:
    """The value of a session cookie: 256 random bits."""
    return secrets.token_urlsafe(32)
