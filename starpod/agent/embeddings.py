"""Embeddings by the providers that speak OpenAI's protocol: OpenAI, Ollama, OpenRouter, and any `base_url` like theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from starpod.agent import provider_clients, provider_errors
from starpod.agent.models import Models
from starpod.errors import InvalidInput, Upstream

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.embeddings import EmbeddingModel

    from starpod.agent.provider_http import ClientSettings

ELSEWHERE = frozenset({"anthropic", "bedrock", "vertex", "gemini", "offline", "deepseek"})


class ProviderEmbedder:
    """The embedder of `spec` ("provider/model"), with the key and address that the provider's chat models have."""

    def __init__(self, models: Models, spec: str) -> None:
        """InvalidInput when the provider has no embeddings that we can ask for."""
        provider, _, name = spec.partition("/")
        if not name:
            raise InvalidInput(f"invalid model spec: '{spec}' — expected 'provider/model'")
        if provider in ELSEWHERE:
            raise InvalidInput(f"the provider {provider} offers no embeddings here: use openai, ollama or a base_url")
        self._models = models
        self._provider = provider
        self._name = name
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
            return (await _model(settings, self._name, http).embed(list(texts), input_type=kind)).embeddings
        except Exception as error:
            raise Upstream(provider_errors.explain(error).text) from error


def _import() -> None:
    import pydantic_ai.embeddings.openai  # noqa: F401


def _model(settings: ClientSettings, name: str, http: httpx2.AsyncClient) -> EmbeddingModel:
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = provider_clients.openai_client(settings, http)
    return OpenAIEmbeddingModel(name, provider=OpenAIProvider(openai_client=client))
