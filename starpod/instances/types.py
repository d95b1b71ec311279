"""Records of instances, and the one interface that every way of running them has."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from starpod.errors import InvalidInput

Wanted = Literal["running", "paused", "deleted"]
NAME = re.compile(r"\w[\w .-]{0,63}")


@dataclass(frozen=True, slots=True)
class NewInstance:
    """What a new instance shall be. `secrets` names those of the parent's secrets that it gets; None leaves a field out."""

    name: str | None = None
    region: str | None = None
    agent_id: str | None = None
    description: str | None = None
    zone: str | None = None
    machine_type: str | None = None
    port: int | None = None
    secrets: tuple[str, ...] = ()

    def check(self) -> None:
        """Raises InvalidInput for a name that is no plain one."""
        if self.name is not None and not NAME.fullmatch(self.name):
            reason = "1 to 64 letters, digits, spaces and _ . - only, beginning with a letter or digit"
            raise InvalidInput("The name cannot be used", {"name": reason})


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance of this machine as the database has it. `wanted` is what people asked for; times are seconds since 1970."""

    id: str
    name: str
    wanted: Wanted
    created_at: int
    updated_at: int
    port: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)
    """What else was said of it when it was made: region, description and so on."""


@dataclass(frozen=True, slots=True)
class Health:
    """How an instance is. `last_heartbeat` is when it last answered, in seconds since 1970; 0 = never."""

    cpu_percent: float
    memory_mb: int
    disk_mb: int
    last_heartbeat: int
    uptime_secs: int


@dataclass(frozen=True, slots=True)
class HealthPoint:
    """How an instance was at a moment, in seconds since 1970."""

    timestamp: int
    status: str
    cpu_percent: float
    memory_mb: int


@dataclass(frozen=True, slots=True)
class InstanceStatusChanged:
    """An instance is not in the state it was in before; for admins."""

    id: str
    name: str | None
    status: str
    error: str | None = None


Json = dict[str, Any]


class Driver(Protocol):
    """A way to run instances. Instances are JSON objects with at least `id` and `status`; ids are whole ones.

    All raise NotFound for an unknown id, Conflict for what contradicts the state it is in, Upstream when what runs them fails.
    """

    async def list(self) -> list[Json]:
        """All instances, the oldest first."""

    async def create(self, new: NewInstance) -> Json:
        """Begin to make an instance; it answers a little later."""

    async def get(self, instance_id: str) -> Json:
        """One instance."""

    async def delete(self, instance_id: str) -> None:
        """End an instance and remove its data."""

    async def pause(self, instance_id: str) -> None:
        """Stop an instance and keep its data."""

    async def start(self, instance_id: str) -> None:
        """Start an instance that is paused or has failed."""

    async def restart(self, instance_id: str) -> None:
        """Stop and start an instance."""

    async def health(self, instance_id: str) -> Json:
        """How an instance is: the fields of `Health`."""

    def logs(self, instance_id: str, *, tail: int, follow: bool) -> AsyncIterator[Json]:
        """The last `tail` lines of its log as `timestamp` (seconds since 1970), `level`, `message`; with `follow` also those to come."""

    async def address(self, instance_id: str) -> tuple[str, str]:
        """Where its own gateway answers, and the key to it. Conflict when it does not run."""

    async def watch(self) -> None:
        """Called once a second: notice what died, mend what can be mended."""

    async def close(self) -> None:
        """Let go. What runs goes on."""
