"""Embeddings by the providers that speak OpenAI's protocol: OpenAI, Ollama, OpenRouter, and any `base_url` like theirs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from starpod.agent import provider_clients, provider_errors
from starpod.agent.models import Models
from starpod.config.schema import Config
from starpod.errors import InvalidInput, NotFound, Upstream
from starpod.imports import import_in_thread
from starpod.usage.budgets import Budgets

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.embeddings import EmbeddingModel, EmbeddingResult, EmbeddingSettings

    from starpod.agent.provider_http import ClientSettings

TEXTS_AT_ONCE = 64
"""In one request: an answer is read on the event loop, and one of 2,000 vectors would hold it up."""
ELSEWHERE = frozenset({"anthropic", "bedrock", "vertex", "gemini", "offline", "deepseek"})


Booked = Callable[[str, str, int, str | None], Awaitable[None]]
"""Takes provider, model and input tokens of a call, and the user whose call it was (None: the gateway's own)."""


async def _nobody(provider: str, model: str, tokens: int, user_id: str | None) -> None:
    """What was used is not booked."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector for each text, in order, and what that used."""

    model: str
    vectors: Sequence[Sequence[float]]
    tokens: int
    cost_usd: float


class Embedders:
    """The embedder that the settings name now."""

    def __init__(
        self,
        models: Models,
        config: Callable[[], Config],
        book: Booked,
        price: Callable[[str, str, int], float],
        budgets: Budgets | None,
    ) -> None:
        """`price` tells what that many tokens of a provider's model cost."""
        self._models = models
        self._config = config
        self._book = book
        self._price = price
        self._budgets = budgets
        self._known: ProviderEmbedder | None = None

    def current(self) -> ProviderEmbedder | None:
        """None while searching by meaning is off. InvalidInput when the named model cannot embed."""
        memory = self._config().memory
        if memory.embedding_model is None or not memory.vector_search:
            self._known = None
        elif self._known is None or self._known.model != memory.embedding_model:
            self._known = ProviderEmbedder(self._models, memory.embedding_model, self._book)
        return self._known

    async def embed(
        self, model: str | None, texts: Sequence[str], user_id: str, *, dimensions: int | None = None
    ) -> Embedded:
        """Embed texts for a person, at their cost; `model` may only name the one of the settings (None: that one).

        Raises NotFound when none is set or another one is named, BudgetExceeded, and what `ProviderEmbedder.documents` does.
        """
        spec = self._config().memory.embedding_model
        if spec is None:
            raise NotFound("No model for embeddings is set: name one by embedding_model under [memory] in agent.toml")
        if model not in (None, spec):
            raise NotFound(f"The model for embeddings is {spec}, not {model}")
        embedder = ProviderEmbedder(self._models, spec, self._book)
        provider, _, name = spec.partition("/")
        hold = None
        if self._budgets is not None:
            most = sum(len(text) for text in texts) // 4 + len(texts)
            hold = await self._budgets.reserve(user_id, None, self._price(provider, name, most))
        vectors: list[Sequence[float]] = []
        tokens = 0
        try:
            for start in range(0, len(texts), TEXTS_AT_ONCE):
                some = texts[start : start + TEXTS_AT_ONCE]
                result = await embedder.result(some, "document", user_id=user_id, dimensions=dimensions)
                vectors += result.embeddings
                tokens += result.usage.input_tokens
        finally:
            if self._budgets is not None and hold is not None:
                self._budgets.release(hold)
        return Embedded(spec, vectors, tokens, self._price(provider, name, tokens))


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
        return (await self.result(texts, "document")).embeddings

    async def question(self, text: str) -> Sequence[float]:
        """The vector of a search. Raises what `documents` does."""
        return (await self.result([text], "query")).embeddings[0]

    async def result(
        self,
        texts: Sequence[str],
        kind: Literal["document", "query"],
        *,
        user_id: str | None = None,
        dimensions: int | None = None,
    ) -> EmbeddingResult:
        """Vectors and what they used, which is booked. Raises what `documents` does."""
        settings, http = self._models.client(self._provider)
        if not self._imported:
            await import_in_thread(provider_clients.import_sdk, self._provider)
            await import_in_thread(_import)
            self._imported = True
        try:
            asked: EmbeddingSettings = {} if dimensions is None else {"dimensions": dimensions}
            model = _model(settings, self._name, http)
            result = await model.embed(list(texts), input_type=kind, settings=asked)
        except Exception as error:
            raise Upstream(provider_errors.explain(error).text) from error
        await self._book(self._provider, self._name, result.usage.input_tokens, user_id)
        return result


def _import() -> None:
    import pydantic_ai.embeddings.openai  # noqa: F401


def _model(settings: ClientSettings, name: str, http: httpx2.AsyncClient) -> EmbeddingModel:
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = provider_clients.openai_client(settings, http)
    return OpenAIEmbeddingModel(name, provider=OpenAIProvider(openai_client=client))
