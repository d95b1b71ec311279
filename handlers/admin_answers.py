"""What the settings pages, reports and instances are answered with; `handlers/answers.py` has the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from starpod.channels.telegram.types import Status
from starpod.doctor.types import Check, State
from starpod.tools.mcp.types import ServerStatus
from starpod.usage.budget_types import Period, Scope
from starpod.usage.types import ToolCounts


class DoctorReport(TypedDict):
    """What is wrong with the agent; `status` is that of the worst check."""

    status: State
    version: str
    checks: Sequence[Check]


class SkillName(TypedDict):
    """A skill as the slash menu shows it."""

    name: str
    description: str


class SkillLine(SkillName):
    """A skill in a list; `error` says why it cannot be used."""

    created_at: datetime
    version: str | None
    error: NotRequired[str]


class OfferedSkill(SkillLine):
    """A skill in the list of all."""

    offered: bool


class SkillDetail(SkillLine):
    """A skill whole; `resources` are the other files of its folder."""

    body: str
    raw_content: str
    connectors: Sequence[str]
    resources: Sequence[str]


class SavedSkill(SkillDetail):
    """A skill as it was saved."""

    status: Literal["ok"]


class SkillDraft(TypedDict):
    """A skill that a model wrote; nothing is stored."""

    description: str
    body: str


class OwnLimits(TypedDict):
    """A user's own limits in USD; null = as configured for everybody."""

    user_id: str
    daily_usd: float | None
    monthly_usd: float | None


class LimitAnswer(TypedDict):
    """A limit and how much of it is used, in USD."""

    scope: Scope
    period: Period
    limit_usd: float
    spent_usd: float
    reserved_usd: float
    remaining_usd: float
    starts_at: datetime
    resets_at: datetime


class Limits(TypedDict):
    """The limits that hold for the caller."""

    limits: list[LimitAnswer]


class UserLimits(OwnLimits):
    """A user's own limits, and all that hold for them."""

    limits: list[LimitAnswer]


class Sums(TypedDict):
    """What was used. `total_input_tokens` counts cached tokens too."""

    total_cost_usd: float
    total_input_tokens: int
    total_output_tokens: int
    total_cache_read: int
    total_cache_write: int
    total_turns: int


class UserSums(Sums):
    """What a user used."""

    user_id: str


class ModelSums(Sums):
    """What a model used."""

    model: str


class JobSums(Sums):
    """What a job used."""

    job_name: str


class SessionSums(Sums):
    """What a conversation used."""

    session_id: str
    user_id: str
    title: str | None


class ModelCost(TypedDict):
    """What a model cost on a day."""

    model: str
    cost_usd: float


class DaySums(TypedDict):
    """What a day cost."""

    date: str
    by_model: list[ModelCost]
    total_cost_usd: float


class Costs(Sums):
    """Everything about one period. `previous` is the period before, null for `all`."""

    by_user: list[UserSums]
    by_model: list[ModelSums]
    by_day: list[DaySums]
    by_tool: Sequence[ToolCounts]
    by_session: list[SessionSums]
    by_job: list[JobSums]
    period: str
    timezone: str
    previous: Sums | None


class VaultLine(TypedDict):
    """What is in the vault, never what it says. `masked` is the end of a long value."""

    key: str
    has_value: Literal[True]
    is_system: bool
    allowed_hosts: NotRequired[Sequence[str]]
    masked: NotRequired[str]
    is_damaged: NotRequired[bool]
    updated_at: datetime


class VaultList(TypedDict):
    """The secrets, by name."""

    entries: list[VaultLine]
    proxy_enabled: bool


class SettingsStatus(TypedDict):
    """What is wrong with the files, what waits for a restart, how the channels are doing."""

    rejected: list[str]
    warnings: Sequence[str]
    restart_needed: Sequence[str]
    telegram: Status


class ProviderReady(TypedDict):
    """What a provider's key is called, None where it needs none, and whether all is there that a call needs."""

    key: str | None
    is_ready: bool


class Models(TypedDict):
    """Every known model by provider, and how far each provider is set up."""

    models: Mapping[str, Sequence[str]]
    providers: Mapping[str, ProviderReady]


class Document(TypedDict):
    """The text of a file."""

    content: str


class Heartbeat(TypedDict):
    """What the agent does by itself, and how often."""

    enabled: bool
    interval_minutes: int
    content: str


class Frontend(TypedDict):
    """What the page greets with."""

    greeting: str | None
    prompts: Sequence[str]


class Folder(TypedDict):
    """What the agent keeps of a user on disk."""

    id: str
    user_md: str
    memory_md: str
    daily_log_count: int


class SetupSteps(TypedDict):
    """Which steps are done."""

    identity: bool
    model: bool
    personality: bool


class SetupStatus(TypedDict):
    """What a new agent still needs."""

    complete: bool
    steps: SetupSteps
    agent_name: str
    provider: str


class McpServers(TypedDict):
    """Every configured server."""

    servers: Sequence[ServerStatus]


class NoLink(TypedDict):
    """No Telegram account is linked."""


class InstanceAnswer(TypedDict):
    """An instance, as far as what runs it can tell; a backend may say more. Times are seconds since 1970."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    id: str
    status: str
    name: NotRequired[str | None]
    region: NotRequired[str | None]
    description: NotRequired[str | None]
    web_url: NotRequired[str | None]
    error_message: NotRequired[str | None]


class InstanceHealth(TypedDict, total=False):
    """How an instance is, as far as what runs it can tell. `last_heartbeat` is in seconds since 1970, 0 = never."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    cpu_percent: float
    memory_mb: int
    disk_mb: int
    last_heartbeat: int
    uptime_secs: int


class InstanceStatus(TypedDict):
    """What was done."""

    status: Literal["paused", "started", "restarted"]
