"""One call of a model: streams its text into the turn, and says what it used, also when it was cut off."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starpod.agent import costs, provider_errors
from starpod.agent.journal import Journal
from starpod.agent.prompt import TurnPrompt
from starpod.agent.provider_clients import ANSWER_ROOM, THINKING_BUDGET
from starpod.agent.turn import ModelCall, Turn
from starpod.agent.types import TextDelta, UsageRow
from starpod.config.schema import Config
from starpod.telemetry.service import Telemetry
from starpod.usage.budgets import Budgets

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import ModelRequestParameters

    from starpod.agent.models import ChosenModel, Models

GUESS_EVERY_S = 1.0


class ModelCalls:
    """The runner's way to the models."""

    def __init__(
        self,
        models: Models,
        prices: costs.Costs,
        journal: Journal,
        budgets: Budgets | None = None,
        telemetry: Telemetry | None = None,
        guessed: Callable[[Turn], None] | None = None,
    ) -> None:
        """`guessed` is called now and then while an answer comes: `turn.guess` is what the turn has used by then, estimated."""
        self._guessed = guessed
        self._models = models
        self._prices = prices
        self._journal = journal
        self._budgets = budgets
        self.telemetry = telemetry or Telemetry()

    def resolve(self, turn: Turn) -> ChosenModel:
        """The model of a turn's message. InvalidInput when it is not in the list or its key is missing."""
        return self._models.resolve(turn.request.model)

    def explain(self, error: BaseException) -> str:
        """A provider's failure in plain words."""
        return self._models.explain(error).text

    def parameters(self, prompt: TurnPrompt, tools: Mapping[str, Any]) -> ModelRequestParameters:
        """What goes with every call of a turn beside its messages."""
        from pydantic_ai.messages import InstructionPart
        from pydantic_ai.models import ModelRequestParameters

        return ModelRequestParameters(
            function_tools=[tool.tool_def for tool in tools.values()],
            instruction_parts=[InstructionPart(prompt.stable), InstructionPart(prompt.volatile, dynamic=True)],
        )

    async def reserve(
        self, turn: Turn, chosen: ChosenModel, parameters: ModelRequestParameters, input_tokens: int
    ) -> None:
        """Set aside what the turn's next call may cost, until `release`. Raises BudgetExceeded."""
        if self._budgets is None:
            return
        instructions = sum(len(part.content) for part in parameters.instruction_parts or ()) // 4
        usd = self.estimate(chosen, input_tokens + instructions, _longest_answer(turn.config))
        turn.hold = await self._budgets.reserve(turn.user_id, turn.request.triggered_by, usd)

    def release(self, turn: Turn) -> None:
        """Give back what was set aside, once the call is booked."""
        hold, turn.hold = turn.hold, None
        if self._budgets is not None and hold is not None:
            self._budgets.release(hold)

    @asynccontextmanager
    async def within_budget(
        self, chosen: ChosenModel, user_id: str, job: str | None, input_tokens: int, output_tokens: int
    ) -> AsyncIterator[None]:
        """Set aside what a call outside of a turn's stream may cost; book it before leaving. Raises BudgetExceeded."""
        if self._budgets is None:
            yield
            return
        hold = await self._budgets.reserve(user_id, job, self.estimate(chosen, input_tokens, output_tokens))
        try:
            yield
        finally:
            self._budgets.release(hold)

    def estimate(self, chosen: ChosenModel, input_tokens: int, output_tokens: int) -> float:
        """USD that a call costs at most, whichever of the models answers."""
        tokens = costs.TokenUsage(input_tokens, output_tokens)
        answering = ((chosen.provider, chosen.name), *chosen.stand_ins)
        return max(self._prices.price(provider, name, tokens) for provider, name in answering)

    async def stream(
        self,
        turn: Turn,
        chosen: ChosenModel,
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        *,
        input_estimate: int,
    ) -> ModelResponse:
        """Call the model and pass on its text as it comes. Raises what the provider's library raises; `explain` knows it."""
        call = ModelCall(chosen.provider, chosen.name, input_estimate)
        turn.call = call
        is_answering = False
        try:
            async with (
                _measured(self.telemetry, chosen),
                chosen.model.request_stream(messages, chosen.settings, parameters) as stream,
            ):
                is_answering = True
                async for event in stream:
                    if event.event_kind == "part_delta":
                        if event.delta.part_delta_kind == "text" and event.delta.content_delta:
                            self._say(turn, call, event.delta.content_delta)
                    elif event.event_kind == "part_start" and event.part.part_kind == "text":
                        if call.said:
                            self._say(turn, call, "\n")
                        if event.part.content:
                            self._say(turn, call, event.part.content)
        except Exception as error:
            if not is_answering and provider_errors.was_turned_away(error):
                turn.call = None  # nobody bills a request that was refused or never arrived
            raise
        return stream.get()

    async def ask(self, turn: Turn, instructions: str, text: str, *, max_tokens: int) -> tuple[str, UsageRow]:
        """One question without tools, by the compaction model; nothing of it reaches the stream."""
        from pydantic_ai.messages import InstructionPart, ModelRequest, UserPromptPart
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.settings import ModelSettings

        chosen = self._models.resolve(turn.config.compaction_model or turn.request.model, any_model=True)
        parameters = ModelRequestParameters(instruction_parts=[InstructionPart(instructions)])
        settings = chosen.settings.copy() if chosen.settings else ModelSettings()
        settings["max_tokens"] = max_tokens
        tokens = costs.estimate_tokens(instructions) + costs.estimate_tokens(text)
        async with self.within_budget(chosen, turn.user_id, turn.request.triggered_by, tokens, max_tokens):
            response = await chosen.model.request([ModelRequest(parts=[UserPromptPart(text)])], settings, parameters)
        return response.text or "", self.usage_of(chosen, response, purpose="compaction")

    def usage_of(self, chosen: ChosenModel, response: ModelResponse, *, purpose: str = "chat") -> UsageRow:
        """What a complete answer used, at the price of the model that gave it."""
        provider, model = chosen.answered_by(response)
        tokens = costs.TokenUsage.from_usage(response.usage)
        return self._row(provider, model, tokens, purpose, is_estimate=False)

    def usage_of_cut(self, turn: Turn) -> UsageRow | None:
        """An estimate for a call that was cut off before the provider told; None when no call was under way."""
        call = turn.call
        if call is None:
            return None
        turn.call = None
        tokens = costs.TokenUsage(call.input_estimate, costs.estimate_tokens("".join(call.said)), 0, 0)
        return self._row(call.provider, call.model, tokens, "chat", is_estimate=True)

    def _row(self, provider: str, model: str, tokens: costs.TokenUsage, purpose: str, *, is_estimate: bool) -> UsageRow:
        cost = self._prices.price(provider, model, tokens)
        kinds = {
            "input": tokens.input_uncached,
            "output": tokens.output,
            "cache_read": tokens.cache_read,
            "cache_write": tokens.cache_write,
        }
        self.telemetry.metrics.used(f"{provider}/{model}", purpose, kinds, cost)
        return UsageRow(
            tokens.input_uncached,
            tokens.output,
            tokens.cache_read,
            tokens.cache_write,
            cost,
            is_estimate,
            purpose,
            provider,
            model,
        )

    def _say(self, turn: Turn, call: ModelCall, text: str) -> None:
        call.said.append(text)
        turn.publish(TextDelta(text))
        self._journal.add(turn.id, text)
        now = time.monotonic()
        if self._guessed is not None and now - call.guessed_at >= GUESS_EVERY_S:
            call.guessed_at = now
            turn.guess = turn.with_call(self._so_far(call))
            self._guessed(turn)

    def _so_far(self, call: ModelCall) -> UsageRow:
        """An estimate of a call that is under way: providers tell what they bill at its end."""
        tokens = costs.TokenUsage(call.input_estimate, costs.estimate_tokens("".join(call.said)), 0, 0)
        cost = self._prices.price(call.provider, call.model, tokens)
        return UsageRow(tokens.input_uncached, tokens.output, 0, 0, cost, True, "chat", call.provider, call.model)


@asynccontextmanager
async def _measured(telemetry: Telemetry, chosen: ChosenModel) -> AsyncIterator[None]:
    with telemetry.model_call(chosen.provider, chosen.name):
        yield


def _longest_answer(config: Config) -> int:
    """Tokens that one call may answer with, thinking included."""
    if config.reasoning_effort is None:
        return config.max_tokens
    return max(config.max_tokens, THINKING_BUDGET[config.reasoning_effort] + ANSWER_ROOM)
