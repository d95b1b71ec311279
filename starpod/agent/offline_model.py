"""The offline assistant as a pydantic-ai model: finds what is unanswered in the messages, calls a tool or streams the answer.

It keeps no state: every request is answered from the messages alone, so it also goes on after a restart. Heavy to import.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    BaseToolReturnPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextContent,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from starpod.agent.offline_phrases import Call, Result, Say, Situation, reply
from starpod.clock import Clock

MAX_CHUNKS = 400
MAX_EXCERPT_CHARS = 4_000
_CHARS_PER_TOKEN = 4


class OfflineModel(FunctionModel):
    """Answers by rules; see `offline_phrases`."""

    def __init__(self, clock: Clock, timezone: str | None, *, model_name: str, system: str) -> None:
        super().__init__(self._respond, stream_function=self._stream, model_name=model_name)
        self._system = system
        self._clock = clock
        self._zone = _zone(timezone)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """As the base class does it, with what was sent counted as well."""
        async with super().request_stream(messages, model_settings, model_request_parameters, run_context) as response:
            response._usage = RequestUsage(input_tokens=_input_tokens(messages))
            yield response

    async def _respond(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        step = self._next_step(messages, info)
        part = TextPart(step) if isinstance(step, str) else ToolCallPart(step.tool, dict(step.arguments))
        text = step if isinstance(step, str) else json.dumps(step.arguments)
        usage = RequestUsage(input_tokens=_input_tokens(messages), output_tokens=_tokens(text))
        return ModelResponse(parts=[part], usage=usage)

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        step = self._next_step(messages, info)
        if isinstance(step, Call):
            yield {0: DeltaToolCall(name=step.tool, json_args=json.dumps(step.arguments))}
            return
        for chunk in _chunks(step):
            yield chunk
            # A long answer would otherwise hold the loop: nothing here ever waits.
            await asyncio.sleep(0)

    def _next_step(self, messages: Sequence[ModelMessage], info: AgentInfo) -> str | Call:
        """The tool call that comes next, or the whole answer once every prompt of the turn has its result."""
        if not info.function_tools and "summar" in (info.instructions or "").lower():
            return _excerpt(messages)
        situation = Situation(
            tools={tool.name: tool.parameters_json_schema for tool in info.function_tools},
            now=self._clock.now().astimezone(self._zone),
        )
        prompts, results = _turn(messages)
        answers: list[Say] = []
        for prompt in prompts:
            step = reply(prompt, situation)
            if isinstance(step, Say):
                answers.append(step)
            elif results:
                answers.append(Say(step.render(results.pop(0))))
            else:
                return step
        understood = [answer for answer in answers if answer.understood] or answers[-1:]
        return "\n\n".join(answer.text for answer in understood)


def _turn(messages: Sequence[ModelMessage]) -> tuple[list[str], list[Result]]:
    """The user's texts of the turn that is running, and the results of the tools it has called, both in order.

    More than one text: a follow-up came in meanwhile. An earlier turn that was stopped before its answer stays out: it is not run again.
    """
    prompts: list[str] = []
    results: list[Result] = []
    for message in messages[_turn_start(messages) :]:
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                prompts.append(_prompt_text(part))
            elif isinstance(part, BaseToolReturnPart):
                results.append(_result(part))
    return prompts or [""], results


def _turn_start(messages: Sequence[ModelMessage]) -> int:
    """Where the turn begins: at the last request of the user's that is not beside the results of tools called before it."""
    for index in range(len(messages) - 1, -1, -1):
        kinds = {part.part_kind for part in messages[index].parts}
        if "user-prompt" in kinds and "tool-return" not in kinds:
            return index
    return 0


def _prompt_text(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    texts = (
        item if isinstance(item, str) else item.content for item in part.content if isinstance(item, str | TextContent)
    )
    return "\n".join(texts)


def _result(part: BaseToolReturnPart[Any]) -> Result:
    content = part.content
    if isinstance(content, list):
        content = "\n".join(item for item in content if isinstance(item, str)) or part.model_response_str()
    return Result(content if isinstance(content, str) else part.model_response_str(), failed=part.outcome != "success")


def _excerpt(messages: Sequence[ModelMessage]) -> str:
    """What stands for a summary when a conversation gets too long: its end, word for word."""
    text = "\n".join(_turn(messages)[0])
    return f"The earlier conversation ended like this:\n{text[-MAX_EXCERPT_CHARS:]}"


def _chunks(text: str) -> list[str]:
    """Words with the space after them, several at a time when there are very many; joined they are `text` again."""
    words = re.findall(r"\s*\S+\s?|\s+", text)
    size = -(-len(words) // MAX_CHUNKS)
    return ["".join(words[start : start + size]) for start in range(0, len(words), size)] if words else [text]


def _zone(name: str | None) -> tzinfo | None:
    """None lets `astimezone` use the machine's own zone, with the offset of the moment."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _input_tokens(messages: Sequence[ModelMessage]) -> int:
    """A rough count of what was sent; files and images do not count, because nobody reads them here."""
    total = 0
    for message in messages:
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                total += _tokens(_prompt_text(part))
            elif isinstance(content := getattr(part, "content", None), str):
                total += _tokens(content)
    return total


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)
