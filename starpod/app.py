"""The Tornado application: the process's one object that every handler shares. It holds the state and knows no route by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tornado.web
import tornado.websocket

from starpod.state import AppState


class Application(tornado.web.Application):
    """`state` is what handlers work with, as `self.application.state`."""

    def __init__(self, state: AppState, routes: Sequence[Any], fallback: type[tornado.web.RequestHandler]) -> None:
        super().__init__(
            list(routes),
            default_handler_class=fallback,
            log_function=lambda handler: None,
            compress_response=False,
        )
        self.state = state
        self.sockets: set[tornado.websocket.WebSocketHandler] = set()

    def close_sockets(self, code: int, reason: str) -> None:
        """Tell every open socket that the gateway goes away."""
        for socket in tuple(self.sockets):
            socket.close(code, reason)
