"""The httpx2 transport that reaches public addresses only.

The name is resolved, judged and connected to in one step, so nobody can answer differently the second time; TLS and the Host header
keep the name. Connections are not kept: each request is judged anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import httpcore2
import httpx2

from starpod.errors import Forbidden, InvalidInput, Upstream
from starpod.net.addresses import check_url, is_address, is_listed, is_public
from starpod.net.tls import tls_context

PRIVATE = "Requests to private/internal addresses are not allowed"
UNRESOLVED = "Could not resolve hostname"
MOST_ADDRESSES = 4
FIRST_TRIES_S = 3.0
MOST_CONNECTIONS = 50


class Resolver(Protocol):
    """Turns a host name (or address in any notation) into textual IP addresses, the best first; OSError when there are none."""

    async def resolve(self, host: str, port: int) -> list[str]: ...

    def close(self) -> None: ...


class SystemResolver:
    """The machine's own resolver, on threads of its own: a slow name server must not hold up the gateway's other threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolver")

    async def resolve(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Let the threads end once they are done."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections for httpcore, to addresses that passed."""

    def __init__(self, resolver: Resolver, allowed: Callable[[], Collection[str]]) -> None:
        self._resolver = resolver
        self._allowed = allowed
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Forbidden when any address of the name is not public, InvalidInput when it has none; httpcore's ConnectError."""
        try:
            addresses = [host] if is_address(host) else await self._resolver.resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise InvalidInput(UNRESOLVED) from error
        if not addresses:
            raise InvalidInput(UNRESOLVED)
        if not is_listed(host, port, self._allowed()) and not all(is_public(address) for address in addresses):
            raise Forbidden(PRIVATE)
        *first, last = addresses[:MOST_ADDRESSES]
        for address in first:
            with contextlib.suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return await self._inner.connect_tcp(address, port, FIRST_TRIES_S, local_address, socket_options)
        return await self._inner.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise Forbidden(PRIVATE)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """For any httpx2 client: what it asks, and where each redirect leads, is judged here."""

    def __init__(self, resolver: Resolver, allowed: Callable[[], Collection[str]]) -> None:
        super().__init__(verify=tls_context(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls_context(),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=0,
            network_backend=GuardedBackend(resolver, allowed),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Domain errors for what is refused, httpx2's own for what fails."""
        check_url(str(request.url))
        response = await super().handle_async_request(request)
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            # A list of codings is a way to make a small answer huge, and others were not asked for.
            await response.aclose()
            raise Upstream(f"The server sent a content encoding that was not asked for: {coding[:50]!r}")
        return response
