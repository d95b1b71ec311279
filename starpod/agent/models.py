"""From `provider/model` to something that answers: which models may be used, their keys, clients, fallbacks and timeouts.
Importing this module is light; the SDKs come with `warm_up`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import to_json

from starpod.agent import provider_clients, provider_errors, provider_http
from starpod.agent.provider_clients import ModelOptions
from starpod.agent.provider_errors import ProviderError
from starpod.agent.provider_http import ClientSettings
from starpod.agent.registry import Registry
from starpod.config.providers import OFFLINE_MODEL, PROVIDERS, key_variable
from starpod.config.schema import Config
from starpod.errors import InvalidInput
from starpod.imports import import_in_thread

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

logger = logging.getLogger(__name__)

KEYLESS = frozenset({"bedrock", "vertex", "ollama", "offline"})
# Providers whose newer models, which the registry does not know yet, take images as their older ones do.
SEEING_PROVIDERS = frozenset({"anthropic", "openai", "gemini", "bedrock", "vertex"})


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """A model that is ready to be called. Timeouts, limits and provider settings are in `model`, one set for each fallback;
    `settings` is for what a single call changes."""

    spec: str
    provider: str
    name: str
    model: Model
    settings: ModelSettings
    stand_ins: tuple[tuple[str, str], ...] = ()

    def answered_by(self, response: ModelResponse) -> tuple[str, str]:
        """(provider, model name) of the one that answered: this model unless it was down and a later one stood in."""
        answered = response.model_name or self.name
        # Providers answer with the dated name of an alias: gpt-4o as gpt-4o-2024-11-20. The longest name wins: gpt-4o-mini.
        fits = [
            (provider, name)
            for provider, name in ((self.provider, self.name), *self.stand_ins)
            if answered == name or answered.startswith(f"{name}-")
        ]
        return max(fits, key=lambda each: len(each[1]), default=(self.provider, self.name))


@dataclass(frozen=True, slots=True)
class ModelKey:
    """What a built model depends on."""

    client: ClientSettings
    name: str
    max_tokens: int
    effort: str | None
    body: bytes


class Models:
    """Builds models on demand and keeps them and their clients; a changed key or setting makes new ones."""

    def __init__(
        self, config: Callable[[], Config], environ: Callable[[], Mapping[str, str]], registry: Registry
    ) -> None:
        self._config = config
        self._environ = environ
        self._registry = registry
        self._clients: dict[ClientSettings, httpx2.AsyncClient] = {}
        self._built: dict[ModelKey, Model] = {}
        self._chains: dict[tuple[int, ...], tuple[Model, ...]] = {}
        self._offline: tuple[str | None, Model] | None = None
        self._earlier: set[ClientSettings] = set()
        self._warm: set[str] = set()
        self._warming = asyncio.Lock()

    async def warm_up(self) -> None:
        """Import, in a thread, the SDKs of the models in the config. Returns at once when that has been done."""
        wanted = {spec.partition("/")[0] for spec in self._config().models}
        if wanted <= self._warm:
            return
        async with self._warming:
            for provider in wanted - self._warm:
                await import_in_thread(provider_clients.import_sdk, provider)
                self._warm.add(provider)

    def resolve(self, spec: str | None = None, *, any_model: bool = False) -> ChosenModel:
        """The model named by `spec` (None: the default), with the later ones of the list as stand-ins for when it is down.
        `any_model` is for models that the operator named elsewhere in the config. InvalidInput when it may not or cannot be used."""
        config = self._config()
        spec = spec or config.models[0]
        if spec not in config.models and not any_model:
            raise InvalidInput(
                f"model {spec} is not in the allowed list", {"model": f"use one of {', '.join(config.models)}"}
            )
        provider, _, name = spec.partition("/")
        if not name:
            raise InvalidInput(f"invalid model spec: '{spec}' — expected 'provider/model'")
        model = self._model(spec, config)
        later = config.models[config.models.index(spec) + 1 :] if spec in config.models else ()
        stand_ins = tuple((other.partition("/")[0], other.partition("/")[2]) for other in later)
        return ChosenModel(spec, provider, name, self._chain(model, later, config), {}, stand_ins)

    def has_key(self, spec: str) -> bool:
        """Whether everything is there that a call of the model needs, as far as can be told without one."""
        if spec == OFFLINE_MODEL:
            return True
        try:
            self._client_settings(spec.partition("/")[0], self._config())
        except InvalidInput:
            return False
        return True

    def alone(self, spec: str, *, timeout_s: float, max_tokens: int) -> ChosenModel:
        """The model of `spec` without stand-ins, further attempts or thinking, whether it is in the list or not. Raises InvalidInput."""
        config = self._config()
        http = {"max_retries": 0, "timeout_secs": timeout_s, "first_event_timeout_secs": timeout_s}
        brief = config.model_copy(
            update={
                "provider_http": config.provider_http.model_copy(update=http),
                "max_tokens": max_tokens,
                "reasoning_effort": None,
            }
        )
        provider, _, name = spec.partition("/")
        return ChosenModel(spec, provider, name, self._chain(self._model(spec, brief), (), brief), {})

    def supports_vision(self, spec: str | None = None) -> bool:
        """Whether images can be sent to the model."""
        provider, _, name = (spec or self._config().models[0]).partition("/")
        info = self._registry.info(provider, name)
        return info.supports_vision if info.id is not None else provider in SEEING_PROVIDERS

    def context_window(self, spec: str | None = None) -> int | None:
        """Tokens that fit into one call, None when nobody knows."""
        provider, _, name = (spec or self._config().models[0]).partition("/")
        return self._registry.info(provider, name).context_window

    def client(self, provider: str) -> tuple[ClientSettings, httpx2.AsyncClient]:
        """Address, key and HTTP client of a provider, for what is no chat. InvalidInput when it may not or cannot be used."""
        settings = self._client_settings(provider, self._config())
        return settings, self._http(settings)

    @staticmethod
    def explain(error: BaseException) -> ProviderError:
        """A failed call in plain words."""
        return provider_errors.explain(error)

    @property
    def registry(self) -> Registry:
        """What is known of models now."""
        return self._registry

    def use(self, registry: Registry) -> None:
        """Take other knowledge of models from now on."""
        self._registry = registry

    def settings_changed(self) -> None:
        """Build models anew as they are asked for, and note which clients were there before."""
        self._built.clear()
        self._chains.clear()
        self._earlier.update(self._clients)

    def take_unused(self) -> list[httpx2.AsyncClient]:
        """The clients that nobody asked for since the settings changed; they are the caller's to close once nothing runs on them."""
        unused = [self._clients.pop(settings) for settings in self._earlier if settings in self._clients]
        self._earlier.clear()
        return unused

    async def aclose(self) -> None:
        """Close every client, and with it what still streams."""
        clients = list(self._clients.values())
        self._clients.clear()
        self._built.clear()
        self._chains.clear()
        for client in clients:
            await client.aclose()

    def _chain(self, model: Model, later: tuple[str, ...], config: Config) -> Model:
        """`model` with its stand-ins. Also without any it is a chain: that is what holds a direct call to its timeouts."""
        from pydantic_ai.models.fallback import FallbackModel

        if self._offline is not None and model is self._offline[1]:
            return model
        models = [model]
        for spec in later:
            try:
                models.append(self._model(spec, config))
            except InvalidInput as error:
                logger.debug("%s cannot stand in: %s", spec, error)
        key = tuple(id(each) for each in models)
        if key not in self._chains:
            # The models are kept beside the chain, so that their ids stay theirs.
            self._chains[key] = (FallbackModel(model, *models[1:], fallback_on=[provider_errors.is_down]), *models)
        return self._chains[key][0]

    def _model(self, spec: str, config: Config) -> Model:
        if spec == OFFLINE_MODEL:
            return self._offline_model(config)
        provider, _, name = spec.partition("/")
        client = self._client_settings(provider, config)
        options = config.providers[provider].options if provider in config.providers else {}
        key = ModelKey(client, name, config.max_tokens, config.reasoning_effort, to_json(options))
        model = self._built.get(key)
        if model is None:
            wanted = ModelOptions(name, config.max_tokens, config.reasoning_effort, options)
            model = self._built[key] = provider_clients.build_model(client, wanted, self._http(client))
        return model

    def _offline_model(self, config: Config) -> Model:
        from starpod.agent import offline

        if self._offline is None or self._offline[0] != config.timezone:
            self._offline = (config.timezone, offline.build_model(timezone=config.timezone))
        return self._offline[1]

    def _http(self, settings: ClientSettings) -> httpx2.AsyncClient:
        self._earlier.discard(settings)
        client = self._clients.get(settings)
        if client is None:
            client = self._clients[settings] = provider_http.http_client(settings)
        return client

    def _client_settings(self, provider: str, config: Config) -> ClientSettings:
        given = config.providers.get(provider)
        if given is None or (provider not in PROVIDERS and not given.base_url):
            raise InvalidInput(
                f"the provider {provider} is unknown: use one of {', '.join(PROVIDERS)}, or give it a base_url"
            )
        if not given.enabled:
            raise InvalidInput(f"the provider {provider} is switched off: set enabled = true in [providers.{provider}]")
        environ = self._environ()
        return ClientSettings(
            provider,
            provider_clients.normalised_base_url(provider, given.base_url),
            self._key(provider, environ, needed=given.base_url is None and provider not in KEYLESS),
            config.provider_http.timeout_secs,
            config.provider_http.connect_timeout_secs,
            config.provider_http.first_event_timeout_secs,
            config.provider_http.max_retries,
            provider_clients.cloud_settings(provider, environ),
        )

    def _key(self, provider: str, environ: Mapping[str, str], *, needed: bool) -> str | None:
        variable = self._registry.api_key_env(provider) or key_variable(provider)
        key = environ.get(variable, "").strip()
        if not key and needed:
            raise InvalidInput(
                f"there is no key for the provider {provider}: put {variable} into the vault (settings, or `starpod vault set"
                f" {variable}`) or into the environment of the gateway, then send the message again"
            )
        return key or None
