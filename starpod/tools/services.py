"""The services that the tools act through. Light, so that a gateway can have it ready before the tools are loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starpod.cron.service import CronJobs
from starpod.memory.files import MemoryFiles
from starpod.memory.index import MemoryIndex
from starpod.net.guarded import GuardedClient
from starpod.skills.service import Skills
from starpod.tools.runs import Runs


@dataclass(frozen=True, slots=True)
class ToolServices:
    """What tools act through."""

    internet: GuardedClient
    runs: Runs
    environ: Callable[[], Mapping[str, str]]
    """What the model may ask about; no secret of the vault stands there."""
    credentials: Callable[[], Mapping[str, str]]
    skills: Skills
    memory: MemoryFiles
    jobs: CronJobs
    memory_index: MemoryIndex
