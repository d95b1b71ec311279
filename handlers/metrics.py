"""The gateway's numbers, for Prometheus."""

from __future__ import annotations

import asyncio

from handlers.base import BaseHandler, presented_key
from starpod.auth.origins import is_loopback
from starpod.auth.types import User
from starpod.telemetry.metrics import CONTENT_TYPE

FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


class MetricsHandler(BaseHandler):
    """`GET /metrics`: for admins; without a key for this machine, where `[metrics] loopback_without_key` says so."""

    async def identify(self) -> User | None:
        """A proxy on this machine passes on strangers' requests, so what was forwarded always needs a key."""
        if (
            self.state.config.metrics.loopback_without_key
            and presented_key(self.request.headers) is None
            and not any(name in self.request.headers for name in FORWARDED)
            and is_loopback(self.address)
        ):
            return None
        return await super().identify()

    async def get(self) -> None:
        state, metrics = self.state, self.state.agent.telemetry.metrics
        running = state.agent.turns.running_count
        deliveries = await state.outbox.counts()
        metrics.now(
            running=running,
            waiting=len(state.agent.turns) - running,
            sockets=len(self.application.sockets),
            deliveries=deliveries,
        )
        self.set_header("Content-Type", CONTENT_TYPE)
        self.finish(await asyncio.to_thread(metrics.text))
