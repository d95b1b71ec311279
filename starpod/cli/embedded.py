"""A gateway inside the command's own process, for a chat while none is running; and a key that lives as long as the command."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from starpod.auth.service import Auth
from starpod.auth.types import User
from starpod.cli.place import agent_paths, open_database
from starpod.clock import SystemClock
from starpod.errors import Conflict
from starpod.paths import Paths
from starpod.server import Server, prepare
from starpod.state import open_state

LABEL = "starpod chat"
KEY_LIFETIME = timedelta(hours=1)
START_TIMEOUT_S = 30.0


@contextmanager
def own_gateway(folder: Path) -> Iterator[str]:
    """Run the agent of `folder` on a free port of this machine, in a thread; yields its address. Raises what a start raises."""
    gateway = _Gateway(agent_paths(folder))
    thread = threading.Thread(target=gateway.run, name="gateway", daemon=True)
    thread.start()
    try:
        if not gateway.ready.wait(START_TIMEOUT_S):
            raise Conflict("the agent did not start in time")
        if gateway.error is not None:
            raise gateway.error
        yield f"http://127.0.0.1:{gateway.port}"
    finally:
        gateway.stop()
        thread.join(START_TIMEOUT_S)


@contextmanager
def temporary_key(folder: Path) -> Iterator[str | None]:
    """A key of the first active admin, revoked at the end; None while there are no users. Who may write the database may have one."""
    clock = SystemClock()
    with open_database(folder) as database:
        auth = Auth(database, clock)
        admin = asyncio.run(_first_admin(auth))
        if admin is None:
            yield None
            return
        key, clear = asyncio.run(auth.create_key(admin.id, LABEL, clock.now() + KEY_LIFETIME))
        try:
            yield clear
        finally:
            asyncio.run(auth.revoke_key(key.id))
            auth.close()


async def _first_admin(auth: Auth) -> User | None:
    users = await auth.list_users()
    return next((user for user in users if user.role == "admin" and user.is_active), None)


class _Gateway:
    def __init__(self, paths: Paths) -> None:
        self.ready = threading.Event()
        self.error: BaseException | None = None
        self.port = 0
        self._paths = paths
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # handed to the thread that waits for `ready`
            self.error = error
        finally:
            self.ready.set()

    def stop(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        paths, loaded = await asyncio.to_thread(prepare, self._paths.instance_root, os.environ)
        state = await open_state(paths, loaded)
        server = Server(state, host="127.0.0.1", port=0)
        try:
            await server.start()
        except BaseException:
            await state.close()
            raise
        self.port = server.port
        self.ready.set()
        await self._stop.wait()
        await server.stop()
