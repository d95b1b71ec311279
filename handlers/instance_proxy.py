"""`/i/<id>/...`: an instance's own gateway, through this one's address and sign-in. The key to it never leaves this process."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence

import tornado.websocket
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.iostream import StreamClosedError

from handlers.base import ADMIN_ONLY, COOKIE, BaseHandler, status_of
from handlers.socket import SocketHandler
from starpod.errors import StarpodError, TooSlow, Upstream
from starpod.events import AccessChanged

HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding")
) | {"upgrade", "content-length"}
NOT_PASSED = HOP_BY_HOP | {"host", "cookie", "authorization", "x-api-key", "origin", "referer", "accept-encoding"}
NOT_PASSED |= {"x-forwarded-prefix"}
NOT_RETURNED = HOP_BY_HOP | {"server", "date", "content-encoding"}
PREFIX_HEADER = "X-Forwarded-Prefix"
COOKIE_PATH = re.compile(r";\s*path=[^;]*", re.IGNORECASE)
TIMEOUT_S = 300.0
CONNECT_TIMEOUT_S = 10.0
NO_CODE = 1005


class InstanceProxyHandler(BaseHandler):
    """Passes a request on and its answer back, as it comes."""

    body_limit = 64 * 1024 * 1024

    async def get(self, instance_id: str, path: str) -> None:
        if not path:
            return self.redirect(f"/i/{instance_id}/")
        await self._pass_on(instance_id, path)

    async def post(self, instance_id: str, path: str) -> None:
        await self._pass_on(instance_id, path)

    put = patch = delete = post

    async def _pass_on(self, instance_id: str, path: str) -> None:
        if self._received > self.body_limit:
            raise self.too_large()
        address, key = await self.state.instances.address(instance_id)
        task = self.state.tasks.spawn(self._relay(address, key, instance_id, path or "/"), name="instance-proxy")
        self.when_gone(task.cancel)
        with contextlib.suppress(asyncio.CancelledError, StreamClosedError):
            await task
            self.finish()

    async def _relay(self, address: str, key: str, instance_id: str, path: str) -> None:
        import httpx2

        # The path as it was sent: what is escaped in it stays so.
        raw_path = self.request.path.split("/", 3)[3] if path != "/" else ""
        url = f"{address}/{raw_path}" + (f"?{self.request.query}" if self.request.query else "")
        headers = [(n, v) for n, v in self.request.headers.get_all() if n.lower() not in NOT_PASSED]
        headers += [("X-API-Key", key), (PREFIX_HEADER, f"/i/{instance_id}")]
        body = b"".join(self._chunks)
        try:
            async with self.state.instances.http.stream(
                self.request.method or "GET", url, headers=headers, content=body, timeout=TIMEOUT_S
            ) as response:
                self.set_status(response.status_code)
                self._take_headers(response.headers.multi_items(), instance_id)
                async for chunk in response.aiter_bytes():
                    self.write(chunk)
                    await self.flush()
        except httpx2.TimeoutException as error:
            raise TooSlow("The instance did not answer in time") from error
        except httpx2.HTTPError as error:
            raise Upstream("The instance cannot be reached") from error

    def _take_headers(self, headers: Sequence[tuple[str, str]], instance_id: str) -> None:
        """Those of the instance stand instead of ours; repeated ones all stay."""
        taken = [(n, v) for n, v in headers if n.lower() not in NOT_RETURNED]
        for name, _ in taken:
            self.clear_header(name)
        for name, value in taken:
            if name.lower() == "set-cookie":
                # Its sign-in would replace that of this gateway, which has the same name.
                if value.partition("=")[0].strip() == COOKIE:
                    continue
                value = COOKIE_PATH.sub("", value) + f"; Path=/i/{instance_id}/"
            elif name.lower() == "location" and value.startswith("/") and not value.startswith("//"):
                value = f"/i/{instance_id}{value}"
            self.add_header(name, value)


class InstanceSocketHandler(SocketHandler):
    """Passes frames both ways. It ends with either side, and when its admin is one no longer."""

    async def prepare(self) -> None:
        await super().prepare()
        if not self._finished and self.user is not None and self.user.role != "admin":
            return self._refuse(403, ADMIN_ONLY)
        if self._finished:
            return None
        if (origin := self.request.headers.get("Origin")) is not None and not self.check_origin(origin):
            return self._refuse(403, "This origin is not allowed")
        try:
            address, key = await self.state.instances.address(self.path_args[0])
            headers = {"X-API-Key": key, PREFIX_HEADER: f"/i/{self.path_args[0]}"}
            watches = "?sessions=1" if self.get_query_argument("sessions", "") == "1" else ""
            request = HTTPRequest(f"{address.replace('http', 'ws', 1)}/ws{watches}", headers=headers)
            connecting = tornado.websocket.websocket_connect(request, max_message_size=self.max_message_size)
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._other = await connecting
        except StarpodError as error:
            return self._refuse(status_of(error), str(error))
        except (OSError, TimeoutError, HTTPClientError, tornado.websocket.WebSocketError):
            return self._refuse(502, "The instance cannot be reached")
        return None

    async def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        self.application.sockets.add(self)
        self._subscriptions = (self.state.events.subscribe(AccessChanged, self._on_access_changed),)
        self._tasks.spawn(self._bring_back(), name="instance-socket")

    async def on_message(self, message: str | bytes) -> None:  # type: ignore[override]
        try:
            await self._other.write_message(message, binary=isinstance(message, bytes))
        except (tornado.websocket.WebSocketClosedError, StreamClosedError):
            self.close(1001, "the instance has gone")

    def on_close(self) -> None:
        self._other.close()
        super().on_close()

    async def _bring_back(self) -> None:
        with contextlib.suppress(tornado.websocket.WebSocketClosedError, StreamClosedError):
            while (message := await self._other.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        if self._other.close_code is not None and self._other.close_code != NO_CODE:
            self.close(self._other.close_code, self._other.close_reason)
        else:
            self.close(1001, "the instance has gone")

    async def _still_allowed(self) -> bool:
        return await super()._still_allowed() and (self.user is None or self.user.role == "admin")
