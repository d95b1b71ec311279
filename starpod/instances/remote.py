"""The driver `remote`: instances that a service elsewhere runs, over the HTTP protocol of instance backends. Its JSON is passed through."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starpod.clock import Clock
from starpod.config.schema import InstancesConfig
from starpod.errors import Conflict, InvalidInput, NotFound, StarpodError, TooSlow, Unavailable, Upstream
from starpod.instances.backoff import Backoff
from starpod.instances.log_lines import parse_line
from starpod.instances.types import InstanceStatusChanged, Json, NewInstance

if TYPE_CHECKING:
    import httpx2

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0
NOT_CONFIGURED = "Instance backend not configured (set STARPOD_INSTANCE_BACKEND_URL)"
URL_NAME = "STARPOD_INSTANCE_BACKEND_URL"
KEY_NAME = "STARPOD_INSTANCE_API_KEY"
ANSWER_LIMIT = 8 * 1024 * 1024


class RemoteDriver:
    """`environ` gives the backend's address and our key to it; no other secret leaves."""

    def __init__(
        self,
        *,
        environ: Callable[[], Mapping[str, str]],
        clock: Clock,
        config: Callable[[], InstancesConfig],
        publish: Callable[[InstanceStatusChanged], None],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._config = config
        self._publish = publish
        self._timeout_s = timeout_s
        self._known: dict[str, tuple[str | None, str]] = {}
        self._backoffs: dict[str, Backoff] = {}
        self._next_watch = 0.0
        self._http: httpx2.AsyncClient | None = None

    async def list(self) -> list[Json]:
        found = await self._json("GET", "", "List instances")
        if isinstance(found, dict):
            found = found.get("instances")
        if not isinstance(found, list) or not all(isinstance(each, dict) and _is_instance(each) for each in found):
            raise Upstream("Invalid response: the backend sent no list of instances")
        return [_shown(each) for each in found]

    async def create(self, new: NewInstance) -> Json:
        if new.secrets or new.port is not None:
            name = "secrets" if new.secrets else "port"
            raise InvalidInput("This cannot be asked of the backend", {name: "only for the driver process"})
        body = {name: value for name, value in asdict(new).items() if value not in (None, ())}
        return self._instance(await self._json("POST", "", "Create instance", body))

    async def get(self, instance_id: str) -> Json:
        return self._instance(await self._json("GET", f"/{quote(instance_id, safe='')}", "Get instance"))

    async def delete(self, instance_id: str) -> None:
        await self._call("DELETE", f"/{quote(instance_id, safe='')}", "Destroy instance")

    async def pause(self, instance_id: str) -> None:
        try:
            await self._act(instance_id, "pause", "Stop instance")
        except NotFound:
            # Newer backends call it `stop`; an unknown instance is unknown there, too.
            await self._act(instance_id, "stop", "Stop instance")

    async def start(self, instance_id: str) -> None:
        await self._act(instance_id, "start", "Start instance")

    async def restart(self, instance_id: str) -> None:
        await self._act(instance_id, "restart", "Restart instance")

    async def health(self, instance_id: str) -> Json:
        found = await self._json("GET", f"/{quote(instance_id, safe='')}/health", "Instance health")
        if not isinstance(found, dict):
            raise Upstream("Invalid response: the backend sent no health")
        return found

    async def logs(self, instance_id: str, *, tail: int, follow: bool) -> AsyncIterator[Json]:
        import httpx2

        client, headers = self._client()
        query: dict[str, str | int] = {"lines": tail, "tail": tail} | ({"follow": "true"} if follow else {})
        url = f"{self._base()}/{quote(instance_id, safe='')}/logs"
        timeout = httpx2.Timeout(self._timeout_s, read=None if follow else self._timeout_s)
        try:
            async with client.stream("GET", url, params=query, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    raise _refusal(response.status_code, "Instance logs")
                async for line in response.aiter_lines():
                    if line.strip():
                        yield parse_line(line)
        except httpx2.TimeoutException as error:
            raise TooSlow("Instance logs: the backend did not answer in time") from error
        except httpx2.HTTPError as error:
            raise Upstream("Instance logs: the connection to the backend broke") from error

    async def address(self, instance_id: str) -> tuple[str, str]:
        raise Conflict("The page of this instance is not reached through this gateway; open its own address")

    async def watch(self) -> None:
        """Every `health_interval_secs`: tell what changed, restart what runs and has not been heard of for too long."""
        now = self._clock.monotonic()
        if now < self._next_watch or not self._environ().get(URL_NAME):
            return
        settings = self._config()
        self._next_watch = now + settings.health_interval_secs
        try:
            found = await self.list()
        except StarpodError as error:
            logger.warning("instances cannot be watched: %s", error)
            return
        seen = {each["id"]: (_name(each), str(each["status"])) for each in found}
        for instance_id, (name, status) in seen.items():
            if instance_id in self._known and self._known[instance_id] != (name, status):
                self._publish(InstanceStatusChanged(instance_id, name, status))
        for instance_id in self._known.keys() - seen.keys():
            self._publish(InstanceStatusChanged(instance_id, self._known[instance_id][0], "deleted"))
        self._known = seen
        for instance_id, (name, status) in seen.items():
            if status == "running":
                await self._check_heartbeat(instance_id, name)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _check_heartbeat(self, instance_id: str, name: str | None) -> None:
        try:
            last = (await self.health(instance_id)).get("last_heartbeat")
            now = self._clock.now().timestamp()
            if not isinstance(last, int | float) or now - last <= self._config().heartbeat_timeout_secs:
                self._backoffs.pop(instance_id, None)
                return
            backoff = self._backoffs.setdefault(instance_id, Backoff(self._config().max_restarts))
            self._publish(InstanceStatusChanged(instance_id, name, "error", backoff.reason or "no sign of life"))
            if backoff.is_due(self._clock.monotonic()):
                backoff.died(self._clock.monotonic(), lived_s=0.0)
                await self.restart(instance_id)
        except StarpodError as error:
            logger.warning("an instance cannot be watched: %s", error)

    def _instance(self, found: Any) -> Json:
        if not isinstance(found, dict) or not _is_instance(found):
            raise Upstream("Invalid response: the backend sent no instance")
        return _shown(found)

    async def _act(self, instance_id: str, action: str, what: str) -> None:
        await self._call("POST", f"/{quote(instance_id, safe='')}/{action}", what)

    async def _json(self, method: str, path: str, what: str, body: Json | None = None) -> Any:
        try:
            return json.loads(await self._call(method, path, what, body))
        except ValueError as error:
            raise Upstream(f"{what}: Invalid response: the backend sent no JSON") from error

    async def _call(self, method: str, path: str, what: str, body: Json | None = None) -> bytes:
        import httpx2

        client, headers = self._client()
        try:
            async with client.stream(method, self._base() + path, json=body, headers=headers) as response:
                if not response.is_success:
                    raise _refusal(response.status_code, what)
                data = b""
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > ANSWER_LIMIT:
                        raise Upstream(f"{what}: Invalid response: the answer of the backend is too large")
                return data
        except httpx2.TimeoutException as error:
            raise TooSlow(f"{what}: the backend did not answer in time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Upstream(f"{what}: the backend cannot be reached") from error

    def _base(self) -> str:
        url = self._environ().get(URL_NAME, "").strip().rstrip("/")
        if not url:
            raise Unavailable(NOT_CONFIGURED)
        return f"{url}/api/v1/instances"

    def _client(self) -> tuple[httpx2.AsyncClient, dict[str, str]]:
        import httpx2

        self._base()
        if self._http is None:
            self._http = httpx2.AsyncClient(timeout=self._timeout_s, follow_redirects=False)
        key = self._environ().get(KEY_NAME, "").strip()
        return self._http, {"Authorization": f"Bearer {key}"} if key else {}


def _is_instance(found: Json) -> bool:
    return isinstance(found.get("id"), str) and isinstance(found.get("status"), str)


def _shown(found: Json) -> Json:
    """Without the keys of the instance, which nobody needs to see here."""
    return {name: value for name, value in found.items() if name not in ("starpod_api_key", "secret_overrides")}


def _name(found: Json) -> str | None:
    name = found.get("name")
    return name if isinstance(name, str) else None


def _refusal(status: int, what: str) -> StarpodError:
    match status:
        case 404 | 410:
            return NotFound(f"{what}: there is no such instance")
        case 405:
            return NotFound(f"{what}: the backend cannot do this (405)")
        case 401 | 403:
            # Not passed on: it is this gateway that is refused, not the person who asks.
            return Upstream(f"{what}: the backend does not accept this gateway's key; check {KEY_NAME} ({status})")
        case 429:
            return Unavailable(f"{what}: the backend is asked too often; try again in a moment ({status})")
        case 409:
            return Conflict(f"{what}: the backend says that it contradicts the state of the instance (409)")
        case 408 | 504:
            return TooSlow(f"{what}: the backend did not answer in time ({status})")
        case _ if 400 <= status < 500:
            return InvalidInput(f"{what}: the backend does not take this ({status})")
    return Upstream(f"{what} failed: the backend answered with status {status}")
