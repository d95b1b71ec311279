"""Tells systemd how the gateway is (sd_notify(3)). Without systemd, or another that sets NOTIFY_SOCKET, nothing happens."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class Supervisor:
    """`environ` names the socket; children must not speak for the gateway, so what names it is to be kept from them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        # Names of both: for another process, it is not ours to answer.
        self._is_watched = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()) and bool(
            environ.get("WATCHDOG_USEC", "").isdigit()
        )

    def ready(self, status: str) -> None:
        """Requests are answered."""
        self._tell(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """No more are taken."""
        self._tell("STOPPING=1\nSTATUS=running turns finish")

    def alive(self) -> None:
        """The event loop turns. To be called more often than twice in each WATCHDOG_USEC."""
        if self._is_watched:
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
            to.setblocking(False)
            to.sendto(state.encode(), address)
