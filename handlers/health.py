"""Is it up, is it ready, and what does a client need to know before it signs in."""

from __future__ import annotations

from handlers.answers import Checks, Health, Readiness
from handlers.base import BaseHandler
from handlers.page import public_config
from starpod.errors import StarpodError
from starpod.version import __version__

SLOW_LOOP_S = 1.0


class HealthHandler(BaseHandler):
    """`GET /api/health`: the process answers."""

    def get(self) -> None:
        body: Health = {"status": "ok", "version": __version__}
        if self.state.watcher.last_error is not None or self.state.watcher.problems:
            # Anybody may ask here: admins find the reason under /api/settings/status.
            body["config_error"] = "a config file is not usable; see the log"
        warnings = []
        if self.state.vault.problem is not None:
            warnings.append("the vault cannot be used; see the log")
        if self.state.semantic.problem is not None:
            warnings.append("memory is searched by words alone; see the log")
        if self.state.telegram.status.state == "failing":
            warnings.append("Telegram does not work; see the log")
        if warnings:
            body["warnings"] = warnings
        self.send_json(body)


class ReadyHandler(BaseHandler):
    """`GET /api/health/ready`: the database answers, the loop is not held up, the config is in force, it is not stopping; else 503."""

    async def get(self) -> None:
        state = self.state
        database = "ok"
        try:
            await state.sessions.ping()
        except StarpodError as error:
            database = str(error)
        checks: Checks = {
            "event_loop_delay_ms": round(state.loop_delay_s * 1000, 1),
            "database": database,
            "config": "ok" if state.watcher.last_error is None else "rejected",
        }
        if state.is_stopping:
            checks["stopping"] = True
        is_ready = database == "ok" and state.loop_delay_s < SLOW_LOOP_S and not state.is_stopping
        body: Readiness = {"status": "ready" if is_ready else "not ready", "checks": checks}
        self.send_json(body, 200 if is_ready else 503)


class ConfigHandler(BaseHandler):
    """`GET /api/config`: what the page shows before anybody has signed in."""

    async def get(self) -> None:
        self.send_json(await public_config(self))
