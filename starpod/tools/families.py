"""Which tools the agent has: it depends on the settings of the turn and on whose turn it is."""

from __future__ import annotations

from starpod.config.schema import Config
from starpod.tools.cron import cron_tools
from starpod.tools.environment import Environment
from starpod.tools.files import FILE_TOOLS
from starpod.tools.memory import memory_tools
from starpod.tools.memory_search import memory_search_tools
from starpod.tools.services import ToolServices
from starpod.tools.shell import Shell
from starpod.tools.skills import skill_tools
from starpod.tools.types import ToolSpec
from starpod.tools.web import Web


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
