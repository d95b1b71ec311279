"""The settings pages: which field of each stands for which key of `agent.toml`. Shape, bounds and help come from the schema alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from starpod.config.problems import ConfigError
from starpod.config.schema import (
    RESTART_KEYS,
    ApprovalConfig,
    AuthConfig,
    Config,
    InstancesConfig,
    ProviderHttpConfig,
    ToolsConfig,
    TurnsConfig,
    WebSocketConfig,
)
from starpod.config.section import Section
from starpod.config.writer import Edits, KeyPath
from starpod.errors import InvalidInput

Absent = Literal["required", "reset", "keep"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A field of a page. `absent` says what leaving it out means; `null_keeps` that null leaves it alone instead of taking it out."""

    field: str
    path: KeyPath
    absent: Absent = "required"
    null_keeps: bool = False
    least: int | None = None
    """Smaller numbers are taken as this one."""


def _table(table: str, required: str, reset: str = "") -> tuple[Setting, ...]:
    path = tuple(table.split(".")) if table else ()
    return tuple(Setting(name, (*path, name)) for name in required.split()) + tuple(
        Setting(name, (*path, name), "reset") for name in reset.split()
    )


def _all_of(table: str, model: type[Section]) -> tuple[Setting, ...]:
    """Every key of a table; what is left out stays."""
    return tuple(Setting(name, (table, name), "keep") for name in model.model_fields)


# Tables whose page is the table.
WHOLE_TABLES: dict[str, type[Section]] = {
    "auth": AuthConfig,
    "turns": TurnsConfig,
    "websocket": WebSocketConfig,
    "provider_http": ProviderHttpConfig,
    "instances": InstancesConfig,
}
SECTIONS: dict[str, tuple[Setting, ...]] = {
    "general": (
        *_table(
            "",
            "models max_turns max_tokens agent_name server_addr",
            "timezone reasoning_effort compaction_model followup_mode self_improve",
        ),
        Setting("proxy_enabled", ("proxy", "enabled"), "reset"),
    ),
    "memory": (
        *_table(
            "memory",
            "half_life_days mmr_lambda vector_search chunk_size chunk_overlap export_sessions",
            "nudge_interval nudge_model",
        ),
        Setting("embedding_model", ("memory", "embedding_model"), "keep"),
        Setting("self_improve", ("self_improve",), "reset"),
    ),
    "cron": (
        *_table("cron", "default_max_retries default_timeout_secs max_concurrent_runs"),
        Setting("heartbeat_interval_minutes", ("cron", "heartbeat_interval_minutes"), least=1),
    ),
    "channels": (
        Setting("telegram.enabled", ("channels", "telegram", "enabled")),
        Setting("telegram.gap_minutes", ("channels", "telegram", "gap_minutes"), "reset"),
        Setting("telegram.stream_mode", ("channels", "telegram", "stream_mode"), "keep", null_keeps=True),
    ),
    "compaction": _table(
        "compaction",
        "context_budget summary_max_tokens min_keep_messages max_tool_result_bytes prune_threshold_pct "
        "prune_tool_result_max_chars memory_flush",
    ),
    "budgets": _table(
        "budget",
        "",
        "user_daily_usd user_monthly_usd job_daily_usd job_monthly_usd total_daily_usd total_monthly_usd",
    ),
    "attachments": _table("attachments", "enabled max_file_size", "allowed_extensions"),
    "internet": (
        *_table("internet", "enabled timeout_secs max_fetch_bytes max_text_chars"),
        *(Setting(name, ("internet", name), "keep") for name in ("search_url", "allow_private_hosts")),
    ),
    "tools": (
        *(Setting(name, ("tools", name), "keep") for name in ToolsConfig.model_fields if name != "approval"),
        *(Setting(f"approval.{name}", ("tools", "approval", name), "keep") for name in ApprovalConfig.model_fields),
    ),
} | {name: _all_of(name, model) for name, model in WHOLE_TABLES.items()}


@dataclass(frozen=True, slots=True)
class SecretSetting:
    """A field that stands for a secret of the vault; it is never in a settings file, nor as a whole in an answer."""

    field: str
    name: str


SECRETS = {
    "channels": SecretSetting("telegram.bot_token", "TELEGRAM_BOT_TOKEN"),
    "internet": SecretSetting("brave_api_key", "BRAVE_API_KEY"),
}


def show(section: str, config: Config) -> dict[str, Any]:
    """The page as JSON."""
    values = config.model_dump(mode="json")
    body: dict[str, Any] = {}
    for setting in SECTIONS[section]:
        put_in(body, setting.field, _find(values, setting.path))
    if section == "general":
        body["provider"], _, body["model"] = config.models[0].partition("/")
    return body


def put_in(body: dict[str, Any], field: str, value: Any) -> None:
    """Set a field of a page; a dot in its name leads into a table."""
    *outer, name = field.split(".")
    for part in outer:
        body = body.setdefault(part, {})
    body[name] = value


def value_in(body: Mapping[str, Any], field: str) -> Any:
    """A field of a page, None when it is left out."""
    return _find(body, tuple(field.split(".")))


def read(section: str, body: Mapping[str, Any]) -> Edits:
    """What a saved page changes. Raises InvalidInput for what is missing or null."""
    if section == "general":
        body = _with_older_form(body)
        _check_general(body)
    edits: dict[KeyPath, Any] = {}
    fields: dict[str, str] = {}
    for setting in SECTIONS[section]:
        path = tuple(setting.field.split("."))
        is_given = _has(body, path)
        value = _find(body, path)
        default = _find(_defaults(), setting.path)
        if not is_given:
            if setting.absent == "required":
                fields[setting.field] = "is required"
            elif setting.absent == "reset":
                edits[setting.path] = default
        elif value is None:
            if not setting.null_keeps and not _is_nullable(setting.path):
                fields[setting.field] = "cannot be null"
            elif not setting.null_keeps:
                edits[setting.path] = None
        elif isinstance(value, str) and not value.strip() and _is_nullable(setting.path):
            edits[setting.path] = None
        elif setting.least is not None and isinstance(value, int) and not isinstance(value, bool):
            edits[setting.path] = max(setting.least, value)
        else:
            edits[setting.path] = value
    if fields:
        raise InvalidInput("; ".join(f"{name}: {what}" for name, what in fields.items()), fields)
    return edits


def in_fields(section: str, error: ConfigError) -> InvalidInput:
    """The error with the names of the page's fields instead of the file's keys."""
    names = {".".join(setting.path): setting.field for setting in SECTIONS[section]}
    fields = {}
    for key, what in error.fields.items():
        name = next((key.replace(path, field, 1) for path, field in names.items() if key.startswith(path)), key)
        fields[name] = what
    return InvalidInput("; ".join(f"{name}: {what}" for name, what in fields.items()) or str(error), fields)


@cache
def page_schema(section: str, *, is_saved: bool) -> dict[str, Any]:
    """The JSON schema of a page, as it may be saved or as it is shown."""
    page: dict[str, Any] = {"type": "object", "title": f"{section.title().replace('_', '')}Page", "properties": {}}
    for setting in SECTIONS[section]:
        is_required = not is_saved or setting.absent == "required"
        described = {k: v for k, v in _node(setting.path).items() if k != "minimum" or setting.least is None}
        if setting.null_keeps and is_saved:
            described = {"anyOf": [described, {"type": "null"}]}
        _describe(page, setting.field, described, is_required=is_required)
    if section in SECRETS:
        about = "A secret: its end is shown. Left out or sent back as shown it stays, empty it is deleted."
        _describe(page, SECRETS[section].field, {"type": ["string", "null"], "description": about}, is_required=False)
    if section == "general":
        for name in ("provider", "model"):
            _describe(page, name, {"type": "string", "description": "The first of `models`."}, is_required=not is_saved)
    return page


def _describe(page: dict[str, Any], field: str, described: dict[str, Any], *, is_required: bool) -> None:
    """Add a field to the schema of a page; a dot in its name leads into a table."""
    outer, _, name = field.rpartition(".")
    if outer:
        if is_required and outer not in page.setdefault("required", []):
            page["required"].append(outer)
        page = page["properties"].setdefault(outer, {"type": "object", "properties": {}})
    page["properties"][name] = described
    if is_required:
        page.setdefault("required", []).append(name)


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of all settings with help, bounds and defaults, and under `x-sections` which page shows which key."""
    described = Config.model_json_schema()
    described["x-sections"] = {
        name: [
            {"field": each.field, "key": ".".join(each.path), "required": each.absent == "required"}
            for each in settings
        ]
        for name, settings in SECTIONS.items()
    }
    described["x-secrets"] = {name: {"field": each.field, "name": each.name} for name, each in SECRETS.items()}
    described["x-restart"] = sorted(RESTART_KEYS)
    return described


def _with_older_form(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Early clients send `provider` and `model` instead of `models`; the other models of the list go then."""
    if "models" in body or not ("model" in body or "provider" in body):
        return body
    for name in ("model", "provider"):
        value = body.get(name)
        if not isinstance(value, str) or not value.strip():
            raise InvalidInput(f"{name} cannot be empty")
    summariser, spec = body.get("compaction_provider"), body.get("compaction_model")
    new = {**body, "models": [f"{body['provider']}/{body['model']}"]}
    if isinstance(spec, str) and spec.strip() and isinstance(summariser, str) and summariser.strip():
        new["compaction_model"] = f"{summariser}/{spec}"
    return new


def _check_general(body: Mapping[str, Any]) -> None:
    """The three mistakes whose texts and status clients know."""
    models, max_turns = body.get("models"), body.get("max_turns")
    if models == []:
        raise InvalidInput("models cannot be empty")
    for spec in models if isinstance(models, list) else ():
        if isinstance(spec, str) and "/" not in spec:
            raise InvalidInput(f"invalid model spec: '{spec[:200]}' — expected 'provider/model'")
    if isinstance(max_turns, int) and not isinstance(max_turns, bool) and max_turns <= 0:
        raise InvalidInput("max_turns must be > 0")


@cache
def _defaults() -> Mapping[str, Any]:
    return Config().model_dump(mode="json")


@cache
def _is_nullable(path: KeyPath) -> bool:
    """Whether the schema allows None for the key."""
    return any(option.get("type") == "null" for option in _node(path).get("anyOf", ()))


def _node(path: KeyPath) -> dict[str, Any]:
    """What the schema of all settings says of a key."""
    node = _settings()
    for part in path:
        node = node["properties"][part]
    return node


@cache
def _settings() -> dict[str, Any]:
    """The schema of all settings, with what it refers to put in place."""
    described = Config.model_json_schema()
    definitions = described.pop("$defs")

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(each) for each in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return inlined(
                definitions[node["$ref"].rpartition("/")[2]] | {k: v for k, v in node.items() if k != "$ref"}
            )
        return {key: inlined(value) for key, value in node.items()}

    found: dict[str, Any] = inlined(described)
    return found


def _find(tree: Mapping[str, Any], path: KeyPath) -> Any:
    found: Any = tree
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _has(tree: Mapping[str, Any], path: KeyPath) -> bool:
    outer = _find(tree, path[:-1])
    return isinstance(outer, Mapping) and path[-1] in outer
