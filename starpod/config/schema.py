"""Every setting of an agent, with its type, default, bounds and help: the one source for files, settings pages and documentation.

The attributes are named as the keys of `agent.toml`. The tree is frozen: a reload swaps it whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from starpod.config.legacy import upgrade
from starpod.config.mcp import McpConfig
from starpod.config.providers import PROVIDERS
from starpod.config.section import Section
from starpod.config.types import (
    Address,
    Asked,
    BlankIsNone,
    Count,
    Hosts,
    KnownStreamMode,
    KnownTelegramMode,
    ModelSpecs,
    Networks,
    OptionalModelSpec,
    OptionalTimezone,
    OptionalUrl,
    Origins,
    Percent,
    Positive,
    Seconds,
    SecondsOrNone,
    Strings,
    Url,
    split_model,
)

StreamMode = Annotated[Literal["final_only", "all_messages"], KnownStreamMode]
TelegramMode = Annotated[Literal["final_only", "all_messages", "live"], KnownTelegramMode]

OptionalAmount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] | None

# Changing one of these takes effect only when the gateway starts again.
RESTART_KEYS = frozenset({"server_addr", "telemetry.otlp_endpoint", "telemetry.service_name"})


class AuthConfig(Section):
    rate_limit_requests: Count = Field(
        default=600, description="Requests and messages one user may send per window; 0 = no limit"
    )
    rate_limit_window_secs: Positive = Field(default=60, description="Length of that window in seconds")
    failed_attempts: Count = Field(
        default=20, description="Wrong keys one address may try per window before it is refused; 0 = no limit"
    )
    failed_attempts_window_secs: Positive = Field(default=300, description="Length of that window in seconds")
    cookie_days: Positive = Field(default=30, description="Days that a browser stays signed in")
    allowed_origins: Origins = Field(
        default=(), description='Other web origins that may open /ws, e.g. "https://chat.example.org"'
    )
    allowed_hosts: Hosts = Field(
        default=(), description="Host names, beside the local ones, under which people reach the gateway"
    )
    trusted_proxies: Networks = Field(
        default=(),
        description='Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, e.g. "127.0.0.1"',
    )


class ProviderConfig(Section):
    enabled: bool = Field(default=True, description="Offer this provider")
    base_url: OptionalUrl = Field(
        default=None, description="Another address that speaks the provider's API; none = the provider's own"
    )
    models: Strings = Field(default=(), description="Models to offer in the settings; [] = all known ones")
    options: Mapping[str, Any] = Field(default_factory=dict, description="Extra fields for the body of each request")


class ProviderHttpConfig(Section):
    timeout_secs: Seconds = Field(default=600.0, description="Longest time for one model call")
    connect_timeout_secs: Seconds = Field(default=10.0, description="Longest wait for the connection to a provider")
    first_event_timeout_secs: Seconds = Field(
        default=120.0, description="Longest wait for the first piece of an answer"
    )
    max_retries: Count = Field(default=5, description="Further attempts after an overloaded or unreachable provider")


class TurnsConfig(Section):
    retain_secs: SecondsOrNone = Field(
        default=60.0, description="How long the events of a finished turn can still be replayed"
    )
    retain_count: Count = Field(default=200, description="How many finished turns are held for that at most")
    max_parallel: Positive = Field(default=64, description="Turns that run at the same time, over all sessions")
    queue_limit: Positive = Field(default=20, description="Messages that may wait in one session")


class WebSocketConfig(Section):
    outbox_bytes: Annotated[int, Field(ge=1024, le=2**31 - 1)] = Field(
        default=1_048_576, description="Bytes that may wait for a slow reader before its socket is closed"
    )
    ping_interval_secs: SecondsOrNone = Field(
        default=30.0, description="Seconds between pings that keep a socket open; 0 = none"
    )


class ApprovalConfig(Section):
    ask: Asked = Field(
        default=(),
        title="Ask before",
        description='Calls that wait for the person: tools, e.g. "FileDelete" or "github_*", and commands, e.g. "Bash: git push"',
    )
    timeout_secs: Seconds = Field(default=300.0, description="Longest wait; then the call is refused")


class ToolsConfig(Section):
    shell: bool = Field(default=False, description="Let the agent run shell commands")
    shell_for_users: bool = Field(
        default=False, description="For people who are no admins, too; theirs run in bubblewrap or not at all"
    )
    shell_sandbox: Literal["auto", "required", "off"] = Field(
        default="auto",
        description='Run commands in bubblewrap: "auto" where it works, "required" or not at all, "off" never',
    )
    shell_timeout_secs: Positive = Field(default=600, description="Longest time for one command in the foreground")
    shell_memory_mb: Annotated[int, Field(ge=64, le=2**20)] = Field(
        default=4096, description="Memory that a command may use, in MB"
    )
    shell_processes: Positive = Field(default=256, description="Processes that a command may have at a time")
    shell_output_bytes: Annotated[int, Field(ge=1000, le=50_000_000)] = Field(
        default=1_000_000, description="Bytes of a command's output that are kept, half from its beginning"
    )
    approval: ApprovalConfig = Field(default_factory=ApprovalConfig, description="Calls that wait for the person")


class TelegramConfig(Section):
    enabled: bool = Field(default=False, description="Run the Telegram bot; its token is TELEGRAM_BOT_TOKEN")
    gap_minutes: Positive | None = Field(default=360, description="Minutes of silence after which a new session begins")
    stream_mode: TelegramMode = Field(
        default="final_only",
        description='"final_only" sends the last text, "all_messages" each as it comes, "live" one that grows as it is written',
    )
    api_url: Url = Field(
        default="https://api.telegram.org", description="Address of the Bot API, for a server of your own"
    )


class EmailConfig(Section):
    enabled: bool = Field(default=True, description="Treat email as a channel of its own")
    gap_minutes: Positive | None = Field(
        default=1440, description="Minutes of silence after which a new session begins"
    )


class SlackConfig(Section):
    enabled: bool = Field(
        default=False, description="Run the Slack app; its tokens are SLACK_APP_TOKEN and SLACK_BOT_TOKEN"
    )
    gap_minutes: Positive | None = Field(default=360, description="Minutes of silence after which a new session begins")
    stream_mode: StreamMode = Field(
        default="final_only", description='"final_only" sends the last text, "all_messages" each as it comes'
    )


class ChannelsConfig(Section):
    telegram: TelegramConfig = Field(default_factory=TelegramConfig, description="Telegram")
    email: EmailConfig = Field(default_factory=EmailConfig, description="Email")
    slack: SlackConfig = Field(default_factory=SlackConfig, description="Slack")


class MemoryConfig(Section):
    half_life_days: float = Field(
        default=30.0,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="Days after which a daily note counts half as much in a search",
    )
    mmr_lambda: float = Field(
        default=0.7,
        ge=0,
        le=1,
        title="Relevance or variety",
        description="Search results: 1 = most relevant, 0 = most varied",
    )
    vector_search: bool = Field(default=True, description="Search by meaning too, where embedding_model names a model")
    embedding_model: OptionalModelSpec = Field(
        default=None, description="Model that turns texts into vectors; none = search by words alone"
    )
    chunk_size: Positive = Field(default=1600, description="Characters in one indexed piece of a file")
    chunk_overlap: Count = Field(
        default=320,
        validate_default=True,
        description="Characters that neighbouring pieces share; less than chunk_size",
    )
    bootstrap_file_cap: Count = Field(
        default=20000, description="Characters of each memory file that go into the prompt"
    )
    export_sessions: bool = Field(default=True, description="Write closed sessions to the user's memory folder")
    auto_log: bool = Field(default=False, description="Add a line to the daily log after each turn")
    user_md_limit: Count = Field(default=4000, description="Characters that USER.md may have; 0 = no limit")
    memory_md_limit: Count = Field(default=8000, description="Characters that MEMORY.md may have; 0 = no limit")
    nudge_interval: Count = Field(
        default=10, description="Messages between two reviews of what is worth remembering; 0 = off"
    )
    nudge_model: OptionalModelSpec = Field(default=None, description="Model for that review; none = the default model")

    @field_validator("chunk_overlap")
    @classmethod
    def _smaller_than_chunk(cls, overlap: int, info: ValidationInfo) -> int:
        size = info.data.get("chunk_size")
        if size is not None and overlap >= size:
            raise ValueError(f"must be less than chunk_size, which is {size}")
        return overlap


class CronConfig(Section):
    default_max_retries: Count = Field(default=3, description="Further attempts after a failed run")
    default_timeout_secs: Positive = Field(default=7200, description="Longest time for one run")
    max_concurrent_runs: Positive = Field(default=1, description="Runs at the same time")
    heartbeat_interval_minutes: Positive = Field(default=30, description="Minutes between two readings of HEARTBEAT.md")


class CompactionConfig(Section):
    context_budget: Positive = Field(
        default=160_000, description="Tokens of a conversation above which its older part is summarised"
    )
    summary_max_tokens: Positive = Field(default=4096, description="Longest summary, in tokens")
    min_keep_messages: Positive = Field(default=4, description="Newest messages that always stay as they are")
    memory_flush: bool = Field(default=True, description="Save what is worth remembering before summarising")
    flush_model: OptionalModelSpec = Field(default=None, description="Model for that; none = the default model")
    max_tool_result_bytes: Positive = Field(default=50_000, description="Bytes of a tool's result that the model sees")
    prune_threshold_pct: Percent = Field(
        default=70, description="Share of the budget above which old tool results are shortened"
    )
    prune_tool_result_max_chars: Count = Field(default=2000, description="Characters that are left of such a result")


class BrowserConfig(Section):
    enabled: bool = Field(default=False, description="Let the agent use a web browser")
    cdp_url: Annotated[str | None, BlankIsNone] = Field(
        default=None, description="Browser to connect to; none = start one"
    )
    startup_timeout_secs: Positive = Field(default=10, description="Longest wait for the browser to start")


class AttachmentsConfig(Section):
    enabled: bool = Field(default=True, description="Accept files with messages")
    allowed_extensions: Strings = Field(
        default=(), description='Extensions without the dot, e.g. ["pdf", "png"]; [] = all'
    )
    max_file_size: Positive = Field(default=20_971_520, description="Bytes one file may have")


class InternetConfig(Section):
    enabled: bool = Field(default=True, description="Let the agent search the web and fetch pages")
    timeout_secs: Positive = Field(default=15, description="Longest time for one fetch")
    max_fetch_bytes: Positive = Field(default=2_097_152, description="Bytes read of one page")
    max_text_chars: Positive = Field(default=50_000, description="Characters of its text that the model sees")
    search_url: Url = Field(
        default="https://api.search.brave.com/res/v1/web/search",
        description="Where searches go; another address must speak the API of Brave Search",
    )
    allow_private_hosts: Hosts = Field(
        default=(), description='Hosts that may be fetched although they are not public, e.g. "wiki.local:8080"'
    )


class BudgetConfig(Section):
    user_daily_usd: OptionalAmount = Field(default=None, description="USD each user may spend a day; none = no limit")
    user_monthly_usd: OptionalAmount = Field(
        default=None, description="USD each user may spend a month; none = no limit"
    )
    job_daily_usd: OptionalAmount = Field(default=None, description="USD each job may spend a day; none = no limit")
    job_monthly_usd: OptionalAmount = Field(default=None, description="USD each job may spend a month; none = no limit")
    total_daily_usd: OptionalAmount = Field(
        default=None, description="USD all together may spend a day; none = no limit"
    )
    total_monthly_usd: OptionalAmount = Field(
        default=None, description="USD all together may spend a month; none = no limit"
    )


class ProxyConfig(Section):
    enabled: bool = Field(
        default=False, title="Vault proxy", description="Send the agent's requests through the vault's proxy"
    )


class InstancesConfig(Section):
    driver: Literal["process", "remote"] = Field(
        default="process", description='Where instances run: "process" = on this machine, "remote" = at a backend'
    )
    max_count: Count = Field(default=20, description="Most instances on this machine")
    memory_limit_mb: Count = Field(default=1024, description="Most memory of one instance in MB; 0 = no limit")
    open_files: Annotated[int, Field(ge=64, le=1048576)] = Field(
        default=1024, description="Most files that one instance may have open"
    )
    health_interval_secs: Positive = Field(default=30, description="Seconds between two looks at an instance")
    heartbeat_timeout_secs: Positive = Field(
        default=90, description="Seconds without an answer after which an instance is started again"
    )
    max_restarts: Count = Field(default=8, description="Restarts in a row before an instance is given up")


class MetricsConfig(Section):
    loopback_without_key: bool = Field(
        default=False, description="Let programs of this machine read /metrics without an admin's key"
    )


class TelemetryConfig(Section):
    otlp_endpoint: OptionalUrl = Field(
        default=None,
        description="Collector that traces are sent to, by OTLP over HTTP; none = no traces (restart to change)",
    )
    service_name: str = Field(
        default="starpod", min_length=1, description="Name of this gateway in traces (restart to change)"
    )


class Config(Section):
    """All of `agent.toml`."""

    name: str = Field(
        default="Nova",
        min_length=1,
        description="Name of the agent in its own words; the same as agent_name when not given",
    )
    agent_name: str = Field(default="Nova", min_length=1, description="Name that people see")
    skills: Strings = Field(default=(), description="Skills to offer; [] = all")
    server_addr: Address = Field(
        default="127.0.0.1:3000",
        title="Listen address",
        description="Address to listen on, host:port (restart to change)",
    )
    models: ModelSpecs = Field(
        default=("anthropic/claude-haiku-4-5",),
        description='"provider/model": the first is the default, later ones stand in when it is down',
    )
    max_turns: Positive = Field(default=30, description="Model calls for one message")
    max_tokens: Positive = Field(default=16384, description="Longest answer of one model call, in tokens")
    reasoning_effort: Annotated[Literal["low", "medium", "high"] | None, BlankIsNone] = Field(
        default=None, description='How long the model thinks first: "low", "medium" or "high"; none = not at all'
    )
    compaction_model: OptionalModelSpec = Field(
        default=None, description="Model for summaries; none = the default model"
    )
    timezone: OptionalTimezone = Field(
        default=None, description='IANA time zone, e.g. "Europe/Berlin"; none = that of the system'
    )
    followup_mode: Literal["inject", "queue"] = Field(
        default="inject",
        title="Messages during a turn",
        description='A message during a turn: "inject" into it, or "queue" it for afterwards',
    )
    self_improve: bool = Field(
        default=False, title="Write its own skills", description="Let the agent write skills of its own"
    )
    config_version: Positive = Field(default=1, description="Version of this file's layout")
    shutdown_grace_s: SecondsOrNone = Field(
        default=10.0, description="Seconds that running turns get to finish when the gateway stops"
    )

    auth: AuthConfig = Field(default_factory=AuthConfig, description="Sign-in and limits")
    tools: ToolsConfig = Field(default_factory=ToolsConfig, description="What the agent may do")
    turns: TurnsConfig = Field(default_factory=TurnsConfig, description="Turns")
    websocket: WebSocketConfig = Field(default_factory=WebSocketConfig, description="WebSocket connections")
    provider_http: ProviderHttpConfig = Field(
        default_factory=ProviderHttpConfig, description="Calls to model providers"
    )
    compaction: CompactionConfig = Field(default_factory=CompactionConfig, description="Long conversations")
    memory: MemoryConfig = Field(default_factory=MemoryConfig, description="Memory")
    cron: CronConfig = Field(default_factory=CronConfig, description="Scheduled jobs")
    attachments: AttachmentsConfig = Field(default_factory=AttachmentsConfig, description="Files sent with messages")
    internet: InternetConfig = Field(default_factory=InternetConfig, description="Web access")
    browser: BrowserConfig = Field(default_factory=BrowserConfig, description="Web browser")
    channels: ChannelsConfig = Field(default_factory=ChannelsConfig, description="Other ways to talk to the agent")
    budget: BudgetConfig = Field(default_factory=BudgetConfig, description="Budgets")
    proxy: ProxyConfig = Field(default_factory=ProxyConfig, description="Proxy")
    mcp: McpConfig = Field(default_factory=McpConfig, description="MCP servers")
    instances: InstancesConfig = Field(default_factory=InstancesConfig, description="Instances")
    metrics: MetricsConfig = Field(default_factory=MetricsConfig, description="Metrics")
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig, description="Traces")
    providers: Mapping[str, ProviderConfig] = Field(
        default_factory=dict,
        validate_default=True,
        description="Model providers; a name of your own needs a base_url that speaks OpenAI's API",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_older_keys(cls, raw: Any) -> Any:
        return upgrade(raw) if isinstance(raw, dict) else raw

    @field_validator("providers", mode="after")
    @classmethod
    def _every_provider_has_its_settings(cls, given: Mapping[str, ProviderConfig]) -> Mapping[str, ProviderConfig]:
        return {name: ProviderConfig() for name in PROVIDERS} | dict(given)

    @model_validator(mode="after")
    def _providers_of_models_exist(self) -> Config:
        chosen = [("models", spec) for spec in self.models]
        chosen += [("compaction_model", self.compaction_model)] if self.compaction_model else []
        chosen += [("memory.nudge_model", self.memory.nudge_model)] if self.memory.nudge_model else []
        chosen += [("compaction.flush_model", self.compaction.flush_model)] if self.compaction.flush_model else []
        for key, spec in chosen:
            provider, _ = split_model(spec)
            if provider not in PROVIDERS and (provider not in self.providers or not self.providers[provider].base_url):
                # The problem concerns two keys, so pydantic cannot place it: the context names the one to show.
                raise PydanticCustomError(
                    "unknown_provider",
                    "{spec} names an unknown provider; use one of {known}, or give [providers.{provider}] a base_url",
                    {"spec": repr(spec), "known": ", ".join(PROVIDERS), "provider": provider, "key": key},
                )
        return self
