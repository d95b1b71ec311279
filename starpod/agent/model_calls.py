"""One call of a model: streams its text into the turn, and says what it used, also when it was cut off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starpod.agent import costs
from starpod.agent.journal import Journal
from starpod.agent.prompt import TurnPrompt
from starpod.agent.turn import ModelCall, Turn
from starpod.agent.types import TextDelta, UsageRow

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import ModelRequestParameters

    from starpod.agent.models import ChosenModel, Models


class ModelCalls:
    """The runner's way to the models."""

    def __init__(self, models: Models, prices: costs.Costs, journal: Journal) -> None:
        self._models = models
        self._prices = prices
        self._journal = journal

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
        async with chosen.model.request_stream(messages, chosen.settings, parameters) as stream:
            async for event in stream:
                if event.event_kind == "part_delta":
                    if event.delta.part_delta_kind == "text" and event.delta.content_delta:
                        self._say(turn, call, event.delta.content_delta)
                elif event.event_kind == "part_start" and event.part.part_kind == "text":
                    if call.said:
                        self._say(turn, call, "\n")
                    if event.part.content:
                        self._say(turn, call, event.part.content)
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
