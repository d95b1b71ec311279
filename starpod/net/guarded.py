"""The one client for URLs that people, models or pages name: public addresses only, every redirect judged, sizes and times capped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starpod.errors import InvalidInput, Upstream
from starpod.net.addresses import check_url

if TYPE_CHECKING:
    import httpx2

    from starpod.net.transport import Resolver

USER_AGENT = "Starpod/1.0 (personal AI agent)"
MAX_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer. `url` is where the redirects ended; header names are lower-case, each with all its values.

    `is_cut` when the body was longer than what is given here.
    """

    url: str
    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes
    is_cut: bool

    def header(self, name: str) -> str:
        """The header's values joined by a comma, empty when there is none."""
        return ", ".join(self.headers.get(name, ()))


class GuardedClient:
    """Shared by the whole gateway. `allowed()` names private hosts (`host` or `host:port`) that may be asked all the same."""

    def __init__(self, allowed: Callable[[], Collection[str]] = tuple, resolver: Resolver | None = None) -> None:
        self._allowed = allowed
        self._resolver = resolver
        self._client: httpx2.AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def fetch(
        self,
        url: str,
        *,
        timeout_s: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        max_redirects: int = MAX_REDIRECTS,
        body_if: Callable[[Fetched], bool] | None = None,
    ) -> Fetched:
        """GET a URL; at most `max_bytes` of the decoded body, at most `timeout_s` seconds from name to last byte.

        InvalidInput for a URL that cannot be asked, Forbidden for a private address, Upstream for everything that goes wrong on
        the way. The answer's status is the caller's to judge.

        With `body_if`, which is given the answer without its body, the body counts for less: it is read only when that returns
        True, and what came of it when the time was over is enough.
        """
        import httpx2

        check_url(url)
        client = await self._open()
        came = _Came(max_bytes, body_if)
        try:
            async with asyncio.timeout(timeout_s):
                await self._follow(client, url, headers or {}, max_redirects, came)
            return came.fetched()
        except TimeoutError as error:
            if body_if is not None and came.response is not None:
                return came.fetched(is_cut=True)
            raise Upstream(f"The server did not answer in full within {timeout_s:g} seconds") from error
        except httpx2.InvalidURL as error:
            raise InvalidInput("Invalid URL") from error
        except httpx2.HTTPError as error:
            raise Upstream(_explained(error)) from error

    async def aclose(self) -> None:
        """Close what is open."""
        if self._resolver is not None:
            self._resolver.close()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def transport(self) -> httpx2.AsyncBaseTransport:
        """A guarded transport for another library's client; the caller closes it."""
        return await asyncio.to_thread(self._transport)

    async def _follow(
        self, client: httpx2.AsyncClient, url: str, headers: Mapping[str, str], max_redirects: int, came: _Came
    ) -> None:
        request = client.build_request("GET", url, headers=dict(headers))
        for hop in range(max_redirects + 1):
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except InvalidInput as error:
                raise (Upstream(f"A redirect could not be followed: {error}") if hop else error) from error
            try:
                # Not left to the client: it would read the bodies of redirects whole, however long.
                if max_redirects == 0 or response.next_request is None:
                    return await came.read(response)
                request = response.next_request
            finally:
                await response.aclose()
        raise Upstream("The server redirected too often")

    async def _open(self) -> httpx2.AsyncClient:
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
            return self._client

    def _make(self) -> httpx2.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx2

        return httpx2.AsyncClient(
            transport=self._transport(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip, deflate"},
            # Different people fetch by this client: it takes no cookies.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            timeout=None,
            trust_env=False,
        )

    def _transport(self) -> httpx2.AsyncBaseTransport:
        from starpod.net.transport import GuardedTransport, SystemResolver

        self._resolver = self._resolver or SystemResolver()
        return GuardedTransport(self._resolver, self._allowed)


class _Came:
    """What has come of an answer so far."""

    def __init__(self, max_bytes: int, body_if: Callable[[Fetched], bool] | None) -> None:
        self.response: httpx2.Response | None = None
        self._max_bytes = max_bytes
        self._body_if = body_if
        self._body = bytearray()

    async def read(self, response: httpx2.Response) -> None:
        """Take the body, up to a byte more than is wanted."""
        self.response = response
        if self._body_if is not None and not self._body_if(self.fetched()):
            return
        async for piece in response.aiter_bytes():
            self._body += piece
            if len(self._body) > self._max_bytes:
                return

    def fetched(self, *, is_cut: bool = False) -> Fetched:
        """The answer as far as it came."""
        assert self.response is not None
        headers: dict[str, tuple[str, ...]] = {}
        for name, value in self.response.headers.multi_items():
            headers[name] = (*headers.get(name, ()), value)
        is_cut = is_cut or len(self._body) > self._max_bytes
        body = bytes(self._body[: self._max_bytes])
        return Fetched(str(self.response.url), self.response.status_code, headers, body, is_cut)


def _explained(error: httpx2.HTTPError) -> str:
    import httpx2

    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            cause = str(error).lower()
            if "certificate" in cause or "ssl" in cause:
                return "The server's certificate could not be verified"
            return "The server could not be reached"
        case httpx2.DecodingError():
            return "The server's answer could not be decompressed"
        case httpx2.ProtocolError():
            return "The server's answer was not valid HTTP"
        case _:
            return "The connection to the server was lost"
