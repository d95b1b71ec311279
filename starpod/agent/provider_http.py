"""The HTTP clients under the providers' SDKs: long-lived, with joined deltas, the environment's proxies and our timeouts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starpod.net.tls import tls_context

if TYPE_CHECKING:
    import httpx2

# Many concurrent turns, each one stream; connections stay open for the next message of a conversation.
MAX_CONNECTIONS = 1000
MAX_IDLE_CONNECTIONS = 100
IDLE_SECS = 60.0


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a client depends on; equal settings share one. The key is part of it, so it never shows in a repr."""

    provider: str
    base_url: str | None
    key: str | None = field(repr=False)
    timeout_secs: float
    connect_timeout_secs: float
    first_event_timeout_secs: float
    max_retries: int
    cloud: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Region, project, credentials: what the clouds want instead of a key."""

    def __hash__(self) -> int:
        digest = hashlib.sha256((self.key or "").encode()).digest()
        return hash((self.provider, self.base_url, digest, self.timeout_secs, self.max_retries, self.cloud))


def http_client(settings: ClientSettings) -> httpx2.AsyncClient:
    """A long-lived client with joined deltas. The proxies of the environment hold for it as they would without a transport of ours."""
    import httpx2

    from starpod.agent.transport import JoiningTransport

    limits = httpx2.Limits(
        max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS, keepalive_expiry=IDLE_SECS
    )

    def transport(proxy: str | None = None) -> httpx2.AsyncBaseTransport:
        return JoiningTransport(httpx2.AsyncHTTPTransport(verify=tls_context(), limits=limits, proxy=proxy))

    return httpx2.AsyncClient(
        transport=transport(), mounts=proxy_mounts(transport), timeout=http_timeout(settings), follow_redirects=False
    )


def proxy_mounts(
    transport: Callable[[str | None], httpx2.AsyncBaseTransport],
) -> dict[str, httpx2.AsyncBaseTransport | None]:
    """URL patterns of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` with the transport for each (None: direct)."""
    # Like the client's own library not before the first call to a provider.
    import urllib.request

    proxies = urllib.request.getproxies()
    direct = [host.strip() for host in proxies.pop("no", "").split(",") if host.strip()]
    if "*" in direct:
        return {}
    mounts: dict[str, httpx2.AsyncBaseTransport | None] = {
        f"{scheme}://": transport(proxies[scheme] if "://" in proxies[scheme] else f"http://{proxies[scheme]}")
        for scheme in ("http", "https", "all")
        if proxies.get(scheme)
    }
    if mounts:
        for host in direct:
            exact = host == "localhost" or host.replace(".", "").isdigit() or ":" in host
            mounts[f"all://{host}" if exact else f"all://*{host}"] = None
    return mounts


def http_timeout(settings: ClientSettings) -> httpx2.Timeout:
    """The whole call is limited elsewhere; here no single wait may be longer."""
    import httpx2

    return httpx2.Timeout(settings.timeout_secs, connect=settings.connect_timeout_secs)
