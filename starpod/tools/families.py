"""Which tools the agent has: it depends on the settings of the turn and on whose turn it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starpod.config.schema import Config
from starpod.cron.service import CronJobs
from starpod.memory.files import MemoryFiles
from starpod.memory.index import MemoryIndex
from starpod.net.guarded import GuardedClient
from starpod.skills.service import Skills
from starpod.tools.cron import cron_tools
from starpod.tools.environment import Environment
from starpod.tools.files import FILE_TOOLS
from starpod.tools.memory import memory_tools
from starpod.tools.memory_search import memory_search_tools
from starpod.tools.runs import Runs
from starpod.tools.shell import Shell
from starpod.tools.skills import skill_tools
from starpod.tools.types import ToolSpec
from starpod.tools.web import Web


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


def families(config: Config, services: ToolServices, *, is_admin: bool) -> tuple[tuple[ToolSpec, ...], ...]:
    """The families of a turn, in the order in which the model sees them; one that is switched off is empty."""
    return (
        memory_search_tools(services.memory_index),
        memory_tools(services.memory),
        FILE_TOOLS,
        Environment(services.environ).tools(),
        Shell(services.runs, config, is_admin=is_admin).tools(),
        Web(services.internet, config.internet, services.credentials).tools(),
        skill_tools(services.skills, is_admin=is_admin),
        cron_tools(services.jobs, is_admin=is_admin),
    )
