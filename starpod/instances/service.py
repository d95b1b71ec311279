"""The rules of instances: short ids, which driver runs them, what admins are told, a short history of their health."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from starpod.clock import Clock
from starpod.config.schema import InstancesConfig
from starpod.db.database import Database
from starpod.errors import Conflict, NotFound, StarpodError
from starpod.events import EventBus
from starpod.instances import store
from starpod.instances.types import Driver, HealthPoint, InstanceStatusChanged, Json, NewInstance
from starpod.tasks import TaskSet

if TYPE_CHECKING:
    import httpx2

logger = logging.getLogger(__name__)

UUID_LENGTH = 36
HISTORY_LENGTH = 120


class Instances:
    """What admins do with instances. `environ` and `secrets` are those of this gateway."""

    def __init__(
        self,
        *,
        folder: Path,
        database: Database,
        clock: Clock,
        events: EventBus,
        config: Callable[[], InstancesConfig],
        environ: Callable[[], Mapping[str, str]],
        secrets: Callable[[], Mapping[str, str]],
    ) -> None:
        self._folder = folder
        self._database = database
        self._clock = clock
        self._events = events
        self._config = config
        self._environ = environ
        self._secrets = secrets
        self._drivers: dict[str, Driver] = {}
        self._history: dict[str, deque[HealthPoint]] = {}
        self._next_sample = 0.0
        self._tasks = TaskSet("instances")
        self._is_watching = False
        self._is_known_empty = False
        self._http: httpx2.AsyncClient | None = None

    @property
    def http(self) -> httpx2.AsyncClient:
        """The client that reaches the gateways of instances, all on this machine; made when first used."""
        if self._http is None:
            import httpx2

            limits = httpx2.Limits(max_connections=None, max_keepalive_connections=50, keepalive_expiry=30.0)
            # Nothing there speaks TLS, and reading the system's certificates takes long.
            self._http = httpx2.AsyncClient(verify=False, trust_env=False, limits=limits)
        return self._http

    async def list(self) -> list[Json]:
        """All instances."""
        return await self._driver().list()

    async def create(self, new: NewInstance) -> Json:
        """A new instance, on its way. Raises InvalidInput, Conflict, Upstream."""
        new.check()
        return await self._driver().create(new)

    async def get(self, short_id: str) -> Json:
        """One instance. Raises NotFound, and Conflict for the beginning of several ids, as all below do."""
        return await self._driver().get(await self.resolve(short_id))

    async def delete(self, short_id: str) -> None:
        """End an instance and remove its data."""
        instance_id = await self.resolve(short_id)
        await self._driver().delete(instance_id)
        self._history.pop(instance_id, None)

    async def pause(self, short_id: str) -> None:
        """Stop an instance; its data stays. Raises Conflict when it is paused."""
        await self._driver().pause(await self.resolve(short_id))

    async def start(self, short_id: str) -> None:
        """Start an instance. Raises Conflict when it runs."""
        await self._driver().start(await self.resolve(short_id))

    async def restart(self, short_id: str) -> None:
        """Stop an instance and start it."""
        await self._driver().restart(await self.resolve(short_id))

    async def health(self, short_id: str) -> Json:
        """How an instance is, now."""
        return await self._driver().health(await self.resolve(short_id))

    async def history(self, short_id: str) -> Sequence[HealthPoint]:
        """How it was, the oldest first."""
        return list(self._history.get((await self.get(short_id))["id"], ()))

    async def logs(self, short_id: str, *, tail: int, follow: bool) -> AsyncIterator[Json]:
        """Lines of its log; with `follow` without end."""
        instance_id = await self.resolve(short_id)
        await self._driver().get(instance_id)
        return self._driver().logs(instance_id, tail=tail, follow=follow)

    async def address(self, short_id: str) -> tuple[str, str]:
        """Where its gateway answers, and the key to it. Raises Conflict when it does not run."""
        return await self._driver().address(await self.resolve(short_id))

    async def resolve(self, short_id: str) -> str:
        """The whole id. Raises NotFound and Conflict."""
        if len(short_id) >= UUID_LENGTH:
            return short_id
        found = [each["id"] for each in await self.list() if each["id"].startswith(short_id)]
        if short_id in found:
            return short_id
        if not found:
            raise NotFound("No instance found matching prefix")
        if len(found) > 1:
            raise Conflict("Ambiguous prefix")
        return str(found[0])

    async def pulse(self) -> None:
        """Called once a second: look after the instances, one look at a time."""
        if not self._is_watching:
            self._is_watching = True
            self._tasks.spawn(self._watch(), name="watch")

    async def close(self) -> None:
        """Look after nothing more. What runs goes on."""
        await self._tasks.close()
        for driver in self._drivers.values():
            await driver.close()
        if self._http is not None:
            await self._http.aclose()

    async def _watch(self) -> None:
        try:
            if await self._has_work():
                await self._driver().watch()
                await self._sample()
        except StarpodError as error:
            logger.warning("instances cannot be watched: %s", error)
        finally:
            self._is_watching = False

    async def _has_work(self) -> bool:
        """Whether there is anything to look after. The driver is large, and most gateways run no instances."""
        if self._drivers or self._config().driver != "process":
            return True
        if self._is_known_empty:
            return False
        self._is_known_empty = not await self._database.read(store.list_all)
        return not self._is_known_empty

    async def _sample(self) -> None:
        now = self._clock.monotonic()
        if self._config().driver != "process" or now < self._next_sample:
            return
        self._next_sample = now + self._config().health_interval_secs
        for each in await self.list():
            try:
                health = await self.health(each["id"])
            except NotFound:
                continue  # deleted meanwhile
            point = HealthPoint(int(time.time()), each["status"], health["cpu_percent"], health["memory_mb"])
            self._history.setdefault(each["id"], deque(maxlen=HISTORY_LENGTH)).append(point)

    def _driver(self) -> Driver:
        """The one that the settings name. Loaded when first used: most gateways run no others."""
        name = self._config().driver
        if name not in self._drivers:
            self._drivers[name] = self._make(name)
        return self._drivers[name]

    def _make(self, name: str) -> Driver:
        if name == "remote":
            from starpod.instances.remote import RemoteDriver

            return RemoteDriver(environ=self._environ, clock=self._clock, config=self._config, publish=self._tell)
        from starpod.instances.process import ProcessDriver

        return ProcessDriver(
            folder=self._folder,
            database=self._database,
            clock=self._clock,
            config=self._config,
            secrets=self._secrets,
            publish=self._tell,
        )

    def _tell(self, event: InstanceStatusChanged) -> None:
        logger.info("instance %s is %s%s", event.id, event.status, f": {event.error}" if event.error else "")
        self._events.publish(event)
