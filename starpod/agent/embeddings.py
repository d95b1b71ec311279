"""Embeddings by the providers that speak OpenAI's protocol: OpenAI, Ollama, OpenRouter, and any `base_url` like theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal

from starpod.agent import provider_clients, provider_errors
from starpod.agent.models import Models
from starpod.config.schema import Config
from starpod.errors import InvalidInput, Upstream

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.embeddings import EmbeddingModel

    from starpod.agent.provider_http import ClientSettings

ELSEWHERE = frozenset({"anthropic", "bedrock", "vertex", "gemini", "offline", "deepseek"})


Booked = Callable[[str, str, int], Awaitable[None]]
"""Takes provider, model and input tokens of a call."""


async def _nobody(provider: str, model: str, tokens: int) -> None:
    """What was used is not booked."""


class Embedders:
    """The embedder that the settings name now."""

    def __init__(self, models: Models, config: Callable[[], Config], book: Booked) -> None:
        self._models = models
        self._config = config
        self._book = book
        self._known: ProviderEmbedder | None = None

    def current(self) -> ProviderEmbedder | None:
        """None while searching by meaning is off. InvalidInput when the named model cannot embed."""
        memory = self._config().memory
        if memory.embedding_model is None or not memory.vector_search:
            self._known = None
        elif self._known is None or self._known.model != memory.embedding_model:
            self._known = ProviderEmbedder(self._models, memory.embedding_model, self._book)
        return self._known


class ProviderEmbedder:
    """The embedder of `spec` ("provider/model"), with the key and address that the provider's chat models have."""

    def __init__(self, models: Models, spec: str, book: Booked = _nobody) -> None:
        """InvalidInput when the provider has no embeddings that we can ask for."""
        provider, _, name = spec.partition("/")
        if not name:
            raise InvalidInput(f"invalid model spec: '{spec}' — expected 'provider/model'")
        if provider in ELSEWHERE:
            raise InvalidInput(f"the provider {provider} offers no embeddings here: use openai, ollama or a base_url")
        self._models = models
        self._provider = provider
        self._name = name
        self._book = book
        self._imported = False

    @property
    def model(self) -> str:
        return f"{self._provider}/{self._name}"

    async def documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each text. Raises Upstream when the provider fails, InvalidInput when it lacks its key or is switched off."""
        return await self._embed(texts, "document")

    async def question(self, text: str) -> Sequence[float]:
        """The vector of a search. Raises what `documents` does."""
        return (await self._embed([text], "query"))[0]

    async def _embed(self, texts: Sequence[str], kind: Literal["document", "query"]) -> Sequence[Sequence[float]]:
        settings, http = self._models.client(self._provider)
        if not self._imported:
            await asyncio.to_thread(provider_clients.import_sdk, self._provider)
            await asyncio.to_thread(_import)
            self._imported = True
        try:
            result = await _model(settings, self._name, http).embed(list(texts), input_type=kind)
        except Exception as error:
            raise Upstream(provider_errors.explain(error).text) from error
        await self._book(self._provider, self._name, result.usage.input_tokens)
        return result.embeddings


def _import() -> None:
    import pydantic_ai.embeddings.openai  # noqa: F401


def _model(settings: ClientSettings, name: str, http: httpx2.AsyncClient) -> EmbeddingModel:
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = provider_clients.openai_client(settings, http)
    return OpenAIEmbeddingModel(name, provider=OpenAIProvider(openai_client=client))
