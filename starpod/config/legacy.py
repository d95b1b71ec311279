"""Keys of earlier versions of `agent.toml`, still understood: `provider`, `model` and `compaction_provider`."""

from __future__ import annotations

from typing import Any

from starpod.config.providers import KEYED_PROVIDERS

LEGACY_KEYS = {
    "model": 'models = ["provider/model"]',
    "provider": 'models = ["provider/model"]',
    "compaction_provider": 'compaction_model = "provider/model"',
}


def upgrade(raw: dict[str, Any]) -> dict[str, Any]:
    """`raw` with older keys turned into today's, and `name` filled from `agent_name`. Values of a wrong type are left for validation."""
    settings = dict(raw)
    if "name" not in settings and "agent_name" in settings:
        settings["name"] = settings["agent_name"]
    provider, model = settings.pop("provider", None), settings.pop("model", None)
    if "models" not in settings and (provider is not None or model is not None):
        settings["models"] = [_joined(provider, model)]
    summariser, spec = settings.pop("compaction_provider", None), settings.get("compaction_model")
    if isinstance(spec, str) and spec.strip():
        if isinstance(summariser, str) and summariser.strip():
            settings["compaction_model"] = f"{summariser}/{spec}"
        elif "/" not in spec and isinstance(provider, str):
            settings["compaction_model"] = f"{provider}/{spec}"
    return settings


def _joined(provider: Any, model: Any) -> Any:
    provider = "anthropic" if provider is None else provider
    if not isinstance(provider, str):
        return provider
    if model is None:
        model = next((known.default_model for known in KEYED_PROVIDERS if known.name == provider), "")
    return f"{provider}/{model}" if isinstance(model, str) else model
