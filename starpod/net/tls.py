"""The certificates to trust, shared by all outgoing HTTP."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


@cache
def tls_context() -> ssl.SSLContext:
    """The certificates to trust, loaded once: it takes 20 ms."""
    import httpx2

    return httpx2.create_ssl_context()
