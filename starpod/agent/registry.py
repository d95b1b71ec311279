"""What is known about each model: price, context window, abilities. Shipped data, merged with the operator's models.toml.
It knows neither keys nor connections."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from starpod.agent.shipped_models import SHIPPED
from starpod.config.problems import ConfigError, one_line, syntax_error, validation_error

logger = logging.getLogger(__name__)

FREE_PROVIDERS = frozenset({"ollama", "offline"})


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model. Prices are USD per million tokens; `id` is the registered id that matched, None when nothing did."""

    provider: str
    id: str | None
    input: float = 0.0
    output: float = 0.0
    context_window: int | None = None
    supports_tool_use: bool = True
    supports_vision: bool = False
    cache_read_multiplier: float | None = None
    cache_creation_multiplier: float | None = None
    from_operator: bool = False
    """Whether the operator's models.toml gave the price."""


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """One provider and its models by id."""

    default_model: str | None
    api_key_env: str | None
    cache_read_multiplier: float | None
    cache_creation_multiplier: float | None
    models: Mapping[str, ModelInfo]


class ModelEntry(BaseModel):
    """`[<provider>.models.<id>]` in models.toml."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    input: float = Field(ge=0)
    output: float = Field(ge=0)
    context_window: int | None = Field(None, gt=0)
    supports_tool_use: bool = True
    supports_vision: bool = False
    cache_read_multiplier: float | None = Field(None, ge=0)
    cache_creation_multiplier: float | None = Field(None, ge=0)


class ProviderEntry(BaseModel):
    """`[<provider>]` in models.toml."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)
    default_model: str | None = None
    api_key_env: str | None = None
    cache_read_multiplier: float | None = Field(None, ge=0)
    cache_creation_multiplier: float | None = Field(None, ge=0)
    models: dict[str, ModelEntry] = Field(default_factory=dict)


ENTRIES = TypeAdapter(dict[str, ProviderEntry], config=ConfigDict(defer_build=True))


class Registry:
    """Immutable; a changed models.toml takes a new one."""

    def __init__(self, providers: Mapping[str, ProviderInfo]) -> None:
        self._providers = dict(providers)
        self.info = lru_cache(maxsize=1024)(self._info)

    @classmethod
    def load(cls, path: Path | None = None) -> Registry:
        """The shipped models, merged with the file at `path` if there is one. An unusable file is a warning and changes nothing."""
        try:
            return cls(shipped_providers()) if path is None else cls.read(path)
        except ConfigError as error:
            logger.warning("the shipped models stay in force: %s", error)
            return cls(shipped_providers())

    @classmethod
    def read(cls, path: Path) -> Registry:
        """As `load`, but an unusable file is a ConfigError, one line that says where. A missing one is not."""
        providers = shipped_providers()
        label, text = path.name, ""
        try:
            text = path.read_text(encoding="utf-8-sig")
            tables = tomllib.loads(text)
            # The shipped file says nothing but comments: most gateways never need the reader.
            given = ENTRIES.validate_python(tables) if tables else {}
        except FileNotFoundError:
            return cls(providers)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(one_line(str(syntax_error(label, text, error)))) from None
        except ValidationError as error:
            raise ConfigError(one_line(str(validation_error(label, text, error)))) from None
        except OSError as error:
            raise ConfigError(f"{label}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{label}: this is not UTF-8 text; save the file as UTF-8") from None
        except RecursionError:
            raise ConfigError(f"{label}: lists or tables are nested too deeply; write them flatter") from None
        for name, entry in given.items():
            providers[name] = merged(name, providers.get(name), entry)
        return cls(providers)

    def with_models(self, provider: str, models: Mapping[str, ModelInfo]) -> Registry:
        """This one with more models of a provider; those that it knows already stay as they are."""
        known = self._providers.get(provider) or ProviderInfo(None, None, None, None, {})
        return Registry({**self._providers, provider: replace(known, models={**models, **known.models})})

    def models(self) -> dict[str, list[str]]:
        """Every provider with its model ids, sorted, without the provider's name."""
        return {name: sorted(provider.models) for name, provider in self._providers.items()}

    def default_model(self, provider: str) -> str | None:
        """The id to start with, None for a provider that nobody described."""
        known = self._providers.get(provider)
        return known.default_model if known else None

    def api_key_env(self, provider: str) -> str | None:
        """The environment variable that holds the provider's key, None when it needs none or is unknown."""
        known = self._providers.get(provider)
        return known.api_key_env if known else None

    def _info(self, provider: str, model: str) -> ModelInfo:
        """What is known about `model`: its exact id, else the longest registered id that contains it or is contained in it
        (`claude-haiku-4-5-20251001`), else the provider's multipliers without a price."""
        known = self._providers.get(provider)
        if known is None:
            return ModelInfo(provider, None)
        if model in known.models:
            return known.models[model]
        alike = [name for name in known.models if name in model or (model and model in name)]
        if alike:
            return known.models[max(alike, key=lambda name: (len(name), name))]
        return ModelInfo(
            provider,
            None,
            cache_read_multiplier=known.cache_read_multiplier,
            cache_creation_multiplier=known.cache_creation_multiplier,
        )


def shipped_providers() -> dict[str, ProviderInfo]:
    """The shipped data as records."""
    return {
        name: ProviderInfo(
            shipped.default_model,
            shipped.api_key_env,
            shipped.cache_read_multiplier,
            shipped.cache_creation_multiplier,
            {
                model_id: ModelInfo(
                    name,
                    model_id,
                    model.input,
                    model.output,
                    model.context_window,
                    supports_vision=model.supports_vision,
                    cache_read_multiplier=shipped.cache_read_multiplier,
                    cache_creation_multiplier=shipped.cache_creation_multiplier,
                )
                for model_id, model in shipped.models.items()
            },
        )
        for name, shipped in SHIPPED.items()
    }


def merged(name: str, base: ProviderInfo | None, entry: ProviderEntry) -> ProviderInfo:
    """`base` with what `entry` gives: provider fields one by one, models as a whole."""
    read = _given(entry.cache_read_multiplier, base.cache_read_multiplier if base else None)
    creation = _given(entry.cache_creation_multiplier, base.cache_creation_multiplier if base else None)
    kept = {
        model_id: replace(
            model,
            cache_read_multiplier=_given(entry.cache_read_multiplier, model.cache_read_multiplier),
            cache_creation_multiplier=_given(entry.cache_creation_multiplier, model.cache_creation_multiplier),
        )
        for model_id, model in (base.models if base else {}).items()
    }
    added = {
        model_id: ModelInfo(
            name,
            model_id,
            model.input,
            model.output,
            model.context_window,
            model.supports_tool_use,
            model.supports_vision,
            _given(model.cache_read_multiplier, read),
            _given(model.cache_creation_multiplier, creation),
            from_operator=True,
        )
        for model_id, model in entry.models.items()
    }
    return ProviderInfo(
        entry.default_model or (base.default_model if base else None),
        entry.api_key_env or (base.api_key_env if base else None),
        read,
        creation,
        {**kept, **added},
    )


def _given(value: float | None, otherwise: float | None) -> float | None:
    return otherwise if value is None else value
