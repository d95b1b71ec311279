"""What is wrong with the agent, for admins."""

from __future__ import annotations

import asyncio

from handlers.admin_answers import DoctorReport
from handlers.base import BaseHandler
from handlers.queries import DoctorQuery
from starpod.doctor.types import worst
from starpod.version import __version__


class DoctorHandler(BaseHandler):
    """`GET /api/doctor`: the same as `starpod doctor`; `?offline=true` asks nothing outside this machine."""

    async def get(self) -> None:
        from starpod.doctor.service import examine  # with all that it looks at, which most gateways are never asked for

        ask = not self.read_query(DoctorQuery).offline
        async with self.state.examining:
            checks = await asyncio.to_thread(
                examine, self.state.paths, self.state.watcher.current.environ, self.state.clock, ask=ask
            )
        body: DoctorReport = {"status": worst(checks), "version": __version__, "checks": checks}
        self.send_json(body)
