"""The driver `process`: each instance is a gateway of its own on this machine, a child that outlives its parent and is adopted again."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPError

from starpod.clock import Clock
from starpod.config.schema import InstancesConfig
from starpod.db.database import Database
from starpod.errors import Conflict, InvalidInput, NotFound, StarpodError
from starpod.instances import child, logs, store
from starpod.instances.backoff import Backoff
from starpod.instances.types import Health, InstanceStatusChanged, Json, NewInstance, StoredInstance, Wanted
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

READY_TIMEOUT_S = 30.0
READY_POLL_S = 0.05
HEALTH_TIMEOUT_S = 5.0
DISK_EVERY_S = 60.0


@dataclass(slots=True)
class Child:
    """What is known of one instance while this gateway runs."""

    stored: StoredInstance
    backoff: Backoff
    status: str = "creating"
    error: str | None = None
    process: child.Process | None = None
    popen: subprocess.Popen[bytes] | None = None
    meter: Any = None
    heartbeat: float = 0.0
    alive_since: float = 0.0
    asked_at: float = 0.0
    disk: tuple[float, int] = (-DISK_EVERY_S, 0)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


class ProcessDriver:
    """Instances in `folder`, one folder each. `secrets` are those of the parent, of which a request may name some."""

    def __init__(
        self,
        *,
        folder: Path,
        database: Database,
        clock: Clock,
        config: Callable[[], InstancesConfig],
        secrets: Callable[[], Mapping[str, str]],
        publish: Callable[[InstanceStatusChanged], None],
    ) -> None:
        self._folder = folder
        self._database = database
        self._clock = clock
        self._config = config
        self._secrets = secrets
        self._publish = publish
        self._children: dict[str, Child] = {}
        self._tasks = TaskSet("instances")
        # Of its own: the shared one asks ten at a time, so that some that hang would make the others look so.
        self._http = AsyncHTTPClient(force_instance=True, max_clients=1000)
        self._opened = asyncio.Lock()
        self._is_open = False
        self._is_closed = False

    async def list(self) -> list[Json]:
        await self._open()
        return [self._show(each) for each in self._children.values() if each.stored.wanted != "deleted"]

    async def create(self, new: NewInstance) -> Json:
        await self._open()
        given = self._given(new.secrets)
        await asyncio.to_thread(child.check_port, new.port or 0)
        now, instance_id = int(time.time()), str(uuid.uuid4())
        fields = {
            name: value
            for name in ("region", "agent_id", "description", "zone", "machine_type")
            if (value := getattr(new, name)) is not None
        }
        name = new.name or f"instance-{instance_id[:8]}"
        stored = StoredInstance(instance_id, name, "running", now, now, new.port or 0, fields)
        one = Child(stored, self._backoff())
        async with one.busy:
            await self._database.run(store.add, stored, self._config().max_count)
            self._children[instance_id] = one
            try:
                await asyncio.to_thread(child.prepare_folder, self._place(one), stored, given, self._clock)
                await self._spawn(one)
            except BaseException:
                del self._children[instance_id]
                await self._database.run(store.remove, instance_id)
                await asyncio.to_thread(child.discard_folder, self._place(one))
                raise
        return self._show(one)

    async def get(self, instance_id: str) -> Json:
        return self._show(await self._find(instance_id))

    async def delete(self, instance_id: str) -> None:
        one = await self._find(instance_id)
        await self._want(one, "deleted")
        async with one.busy:
            await self._remove(one)

    async def pause(self, instance_id: str) -> None:
        one = await self._find(instance_id)
        async with one.busy:
            self._check_there(one)
            if one.stored.wanted == "paused":
                raise Conflict("The instance is paused already")
            await self._want(one, "paused")
            await self._end(one)
            self._turn(one, "paused")

    async def start(self, instance_id: str) -> None:
        one = await self._find(instance_id)
        async with one.busy:
            self._check_there(one)
            process = await asyncio.to_thread(child.find_process, self._place(one))
            is_alive = process is not None or (one.popen is not None and one.popen.poll() is None)
            if one.stored.wanted == "running" and is_alive:
                raise Conflict("The instance runs already")
            await self._again(one)

    async def restart(self, instance_id: str) -> None:
        one = await self._find(instance_id)
        async with one.busy:
            self._check_there(one)
            await self._end(one)
            await self._again(one)

    async def health(self, instance_id: str) -> Json:
        one = await self._find(instance_id)
        return asdict(await asyncio.to_thread(self._measure, one))

    async def logs(self, instance_id: str, *, tail: int, follow: bool) -> AsyncIterator[Json]:
        one = await self._find(instance_id)
        path = self._place(one) / child.LOG
        async for entry in logs.read(path, tail=tail, follow=follow, ends=lambda: one.status == "deleted"):
            yield entry

    async def address(self, instance_id: str) -> tuple[str, str]:
        one = await self._find(instance_id)
        if one.status != "running":
            raise Conflict(f"The instance does not run: it is {one.status}")
        address = await asyncio.to_thread(child.read_address, self._place(one))
        if not address:
            raise Conflict("The instance is starting")
        return address, await asyncio.to_thread(child.read_key, self._place(one))

    async def watch(self) -> None:
        await self._open()
        for one in self._children.values():
            if not one.busy.locked() and not self._is_closed:
                # Each for itself: one that hangs keeps nobody from looking after the others.
                self._tasks.spawn(self._tend_alone(one), name="tend")

    async def close(self) -> None:
        self._is_closed = True
        await self._tasks.close()
        self._http.close()
        for one in self._children.values():
            if one.popen is not None and one.popen.poll() is None:
                one.popen.returncode = 0  # it goes on without us, so that is nothing to warn of

    async def _open(self) -> None:
        """Adopt what lives, before anything else is done."""
        async with self._opened:
            if self._is_open:
                return
            for stored in await self._database.read(store.list_all):
                one = Child(stored, self._backoff(), status="paused" if stored.wanted == "paused" else "starting")
                self._children[stored.id] = one
                one.process = await asyncio.to_thread(child.find_process, self._place(one))
                if one.process is not None:
                    logger.info("adopted the instance %s", stored.name)
                    one.heartbeat = one.alive_since = self._clock.monotonic()
            self._is_open = True

    async def _tend_alone(self, one: Child) -> None:
        async with one.busy:
            try:
                await self._tend(one)
            except (StarpodError, OSError) as error:
                self._turn(one, "error", str(error))

    async def _tend(self, one: Child) -> None:
        if one.stored.wanted == "deleted":
            return await self._remove(one)
        if one.popen is not None and one.popen.poll() is not None:
            one.popen = None  # reaped
        one.process = await asyncio.to_thread(child.find_process, self._place(one))
        if one.stored.wanted == "paused":
            if one.process is not None:
                await self._end(one)
            return None
        if one.process is not None or one.popen is not None:
            return await self._look_after(one)
        now = self._clock.monotonic()
        if one.alive_since:
            one.backoff.died(now, lived_s=now - one.alive_since)
            one.alive_since = 0.0
            self._turn(one, "error", one.backoff.reason or "the process ended; it is started again")
        if one.backoff.is_due(now):
            try:
                await self._spawn(one)
            except StarpodError as error:
                one.backoff.died(now, lived_s=0.0)
                self._turn(one, "error", " ".join(filter(None, (str(error), one.backoff.reason))))
            else:
                self._turn(one, "starting")
        return None

    async def _look_after(self, one: Child) -> None:
        """Ask a living process whether it answers; one that has not for too long is ended, and started again by and by."""
        now = self._clock.monotonic()
        settings = self._config()
        wait_s = settings.health_interval_secs if one.status == "running" else 1
        if now - one.asked_at < wait_s:
            return
        one.asked_at = now
        if await self._answers(one):
            one.heartbeat = now
            self._turn(one, "running")
        elif now - one.heartbeat > settings.heartbeat_timeout_secs:
            self._turn(one, "error", "it does not answer any more; it is started again")
            if one.process is not None:
                await asyncio.to_thread(child.end, one.process, at_once=True)

    async def _answers(self, one: Child) -> bool:
        address = await asyncio.to_thread(child.read_address, self._place(one))
        if not address:
            return False
        timeout_s = min(HEALTH_TIMEOUT_S, self._config().heartbeat_timeout_secs)
        try:
            await self._http.fetch(f"{address}/api/health", request_timeout=timeout_s)
        except (HTTPError, OSError):
            return False
        return True

    async def _spawn(self, one: Child) -> None:
        settings = self._config()
        one.popen = await asyncio.to_thread(
            child.spawn,
            self._place(one),
            port=one.stored.port,
            memory_mb=settings.memory_limit_mb,
            open_files=settings.open_files,
        )
        one.heartbeat = one.alive_since = self._clock.monotonic()
        one.meter = None
        if not self._is_closed:
            self._tasks.spawn(self._welcome(one, one.popen), name="welcome")

    async def _welcome(self, one: Child, popen: subprocess.Popen[bytes]) -> None:
        """Notice its first answer sooner than the watch would."""
        ends = self._clock.monotonic() + READY_TIMEOUT_S
        while one.popen is popen and popen.poll() is None and self._clock.monotonic() < ends:
            if await self._answers(one):
                if one.popen is popen and one.stored.wanted == "running":
                    one.heartbeat = one.asked_at = self._clock.monotonic()
                    self._turn(one, "running")
                return
            await asyncio.sleep(READY_POLL_S)

    async def _again(self, one: Child) -> None:
        await self._want(one, "running")
        one.backoff = self._backoff()
        self._turn(one, "starting")
        await self._spawn(one)

    async def _end(self, one: Child) -> None:
        process = await asyncio.to_thread(child.find_process, self._place(one))
        if process is None and one.popen is not None and one.popen.poll() is None:
            process = await asyncio.to_thread(child.identify, one.popen.pid)
        if process is not None:
            await asyncio.to_thread(child.end, process)
        if one.popen is not None:
            await asyncio.to_thread(one.popen.wait)
        one.process = one.popen = None
        one.alive_since = 0.0

    async def _remove(self, one: Child) -> None:
        if self._children.get(one.stored.id) is not one:
            return
        await self._end(one)
        await asyncio.to_thread(child.remove_folder, self._place(one))
        await self._database.run(store.remove, one.stored.id)
        self._children.pop(one.stored.id, None)
        self._turn(one, "deleted")

    def _measure(self, one: Child) -> Health:
        import psutil

        now = self._clock.monotonic()
        if now - one.disk[0] >= DISK_EVERY_S:
            one.disk = (now, child.disk_bytes(self._place(one)))
        last = int(time.time() - (now - one.heartbeat)) if one.heartbeat else 0
        disk_mb = one.disk[1] // 2**20
        process = child.find_process(self._place(one))
        found = process.find() if process is not None else None
        if found is None:
            return Health(0.0, 0, disk_mb, last, 0)
        if one.meter is None or one.meter.pid != found.pid:
            one.meter = found
            one.meter.cpu_percent()
        try:
            cpu, memory = one.meter.cpu_percent(), one.meter.memory_info().rss // 2**20
            return Health(cpu, memory, disk_mb, last, max(0, int(time.time() - found.create_time())))
        except psutil.Error:
            return Health(0.0, 0, disk_mb, last, 0)

    async def _want(self, one: Child, wanted: Wanted) -> None:
        now = int(time.time())
        await self._database.run(store.want, one.stored.id, wanted, now)
        one.stored = replace(one.stored, wanted=wanted, updated_at=now)

    def _turn(self, one: Child, status: str, error: str | None = None) -> None:
        if (status, error) != (one.status, one.error):
            one.status, one.error = status, error
            one.stored = replace(one.stored, updated_at=int(time.time()))
            self._publish(InstanceStatusChanged(one.stored.id, one.stored.name, status, error))

    def _show(self, one: Child) -> Json:
        stored = one.stored
        body: Json = {"id": stored.id, "name": stored.name, "status": one.status} | dict(stored.fields)
        body |= {"created_at": stored.created_at, "updated_at": stored.updated_at, "web_url": f"/i/{stored.id}/"}
        return body | ({"error_message": one.error} if one.error else {})

    async def _find(self, instance_id: str) -> Child:
        await self._open()
        one = self._children.get(instance_id)
        if one is None or one.stored.wanted == "deleted":
            raise NotFound("There is no such instance")
        return one

    def _check_there(self, one: Child) -> None:
        """It may have been deleted while its turn was awaited."""
        if one.stored.wanted == "deleted":
            raise NotFound("There is no such instance")

    def _given(self, names: tuple[str, ...]) -> dict[str, str]:
        known = self._secrets()
        missing = [name for name in names if name not in known or name.startswith("STARPOD_")]
        if missing:
            raise InvalidInput("There is no such secret", {"secrets": f"not known here: {', '.join(missing)}"})
        return {name: known[name] for name in names}

    def _place(self, one: Child) -> Path:
        return self._folder / one.stored.id

    def _backoff(self) -> Backoff:
        return Backoff(self._config().max_restarts)
