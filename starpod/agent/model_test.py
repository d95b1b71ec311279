"""One tiny request to a model, to see whether its key and address work, and what is wrong in plain words when they do not."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from starpod.agent import provider_clients
from starpod.agent.model_calls import ModelCalls
from starpod.agent.models import ChosenModel, Models
from starpod.agent.types import UsageRow
from starpod.errors import InvalidInput
from starpod.imports import import_in_thread
from starpod.usage.budget_types import BudgetExceeded

TIMEOUT_S = 20.0
QUESTION = "Answer with the word OK."
INPUT_TOKENS, OUTPUT_TOKENS = 20, 16


@dataclass(frozen=True, slots=True)
class ModelTest:
    """`kind` is `ok` or what is wrong; `error` says it to a person."""

    ok: bool
    model: str
    kind: str
    error: str | None
    latency_ms: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ModelTests:
    """Asks the models themselves; `book` gets what it used and whose it is."""

    models: Models
    calls: ModelCalls
    book: Callable[[UsageRow, str], Awaitable[None]]

    async def run(self, spec: str, user_id: str) -> ModelTest:
        """Ask `spec` (provider/model, in the list or not) once, without stand-ins and without trying again. InvalidInput for a bad spec."""
        provider, _, name = spec.partition("/")
        if not provider or not name:
            raise InvalidInput("The model is no provider/model", {"model": "write it as provider/model"})
        await self.models.warm_up()
        await import_in_thread(provider_clients.import_sdk, provider)
        try:
            chosen = self.models.alone(spec, timeout_s=TIMEOUT_S, max_tokens=OUTPUT_TOKENS)
        except InvalidInput as error:
            return ModelTest(False, spec, "no_key" if "there is no key" in str(error) else "invalid", str(error))
        began = time.perf_counter()
        try:
            async with (
                asyncio.timeout(TIMEOUT_S + 5),
                self.calls.within_budget(chosen, user_id, None, INPUT_TOKENS, OUTPUT_TOKENS),
            ):
                usage = await self._ask(chosen)
                await self.book(usage, user_id)
        except BudgetExceeded as error:
            return ModelTest(False, spec, "budget", str(error))
        except Exception as error:
            kind, text = _explain(error, provider, self.models)
            return ModelTest(False, spec, kind, text, _ms_since(began))
        return ModelTest(True, spec, "ok", None, _ms_since(began), usage.cost_usd)

    async def _ask(self, chosen: ChosenModel) -> UsageRow:
        from pydantic_ai.messages import ModelRequest, UserPromptPart
        from pydantic_ai.models import ModelRequestParameters

        messages = [ModelRequest(parts=[UserPromptPart(QUESTION)])]
        response = await chosen.model.request([*messages], chosen.settings, ModelRequestParameters())
        return self.calls.usage_of(chosen, response, purpose="test")


def _explain(error: Exception, provider: str, models: Models) -> tuple[str, str]:
    """(kind, text). What keeps a connection from coming about is told more exactly than in a conversation."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return (
                "tls",
                "The TLS connection failed: the server's certificate is not valid or not trusted. Check base_url.",
            )
        if isinstance(cause, socket.gaierror):
            return (
                "unreachable",
                "The host name of the provider cannot be found. Check the network, and base_url where one is set.",
            )
        if isinstance(cause, ConnectionRefusedError):
            if provider == "ollama":
                return "unreachable", "Ollama is not running there. Start it with `ollama serve`, or correct base_url."
            return "unreachable", "Nothing listens at the provider's address. Check base_url, and that the server runs."
    known = models.explain(error)
    if provider == "ollama" and known.kind == "invalid" and "does not know" in known.text:
        return known.kind, f"{known.text}. Fetch it with `ollama pull`."
    return known.kind, known.text


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that lie behind it."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()
        waiting += [behind for behind in (each.__cause__, each.__context__) if behind is not None]


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
