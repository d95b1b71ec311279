"""The Tornado application: the process's one object that every handler shares. It holds the state and knows no route by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tornado.web
import tornado.websocket
from tornado.httputil import HTTPServerRequest

from starpod.auth.proxies import client_address, client_scheme
from starpod.state import AppState

METHODS = frozenset(tornado.web.RequestHandler.SUPPORTED_METHODS)


class Application(tornado.web.Application):
    """`state` is what handlers work with, as `self.application.state`; `names` are what metrics call the handlers' routes.

    `describe` gives the description of the routes in JSON.
    """

    def __init__(
        self,
        state: AppState,
        routes: Sequence[Any],
        fallback: type[tornado.web.RequestHandler],
        names: Mapping[type[tornado.web.RequestHandler], str] | None = None,
        describe: Callable[[], bytes] = bytes,
    ) -> None:
        super().__init__(
            list(routes),
            default_handler_class=fallback,
            compress_response=False,
        )
        self.state = state
        self.describe = describe
        self._names = names or {}
        self.sockets: set[tornado.websocket.WebSocketHandler] = set()

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Before anything looks at the request: behind a trusted proxy it is that of the proxy's client."""
        if (trusted := self.state.config.auth.trusted_proxies) and (peer := request.remote_ip):
            headers = request.headers
            request.remote_ip = client_address(peer, headers.get("X-Forwarded-For", ""), trusted)
            scheme = client_scheme(peer, headers.get("X-Forwarded-Proto", ""), trusted)
            request.protocol = scheme or request.protocol
        return super().find_handler(request, **kwargs)

    def begin_span(self, handler: tornado.web.RequestHandler) -> None:
        """Trace a request, where that is switched on; `log_request` ends it."""
        tracer = self.state.agent.telemetry.tracer
        if tracer is not None:
            route = self._names.get(type(handler), "other")
            method = handler.request.method or ""
            attributes = {"http.request.method": method, "http.route": route}
            handler.request.starpod_span = tracer.begin(  # type: ignore[attr-defined]
                f"{method} {route}", handler.request.headers, attributes
            )

    def log_request(self, handler: tornado.web.RequestHandler) -> None:
        """Count an answered request. A line for each would cost eight percent of the throughput."""
        route = self._names.get(type(handler), "other")
        request = handler.request
        method = request.method if request.method in METHODS else "other"
        self.state.agent.telemetry.metrics.request(method, route, handler.get_status(), request.request_time())
        span = getattr(request, "starpod_span", None)
        if span is not None:
            span.end(handler.get_status())

    def close_sockets(self, code: int, reason: str) -> None:
        """Tell every open socket that the gateway goes away."""
        for socket in tuple(self.sockets):
            socket.close(code, reason)
