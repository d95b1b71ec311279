"""Has a model write a skill: one question, and one more when the answer cannot be used."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from starpod.agent.model_calls import ModelCalls
from starpod.agent.models import Models
from starpod.agent.types import UsageRow
from starpod.config.schema import Config
from starpod.errors import InvalidInput, Upstream
from starpod.skills import document

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

logger = logging.getLogger(__name__)

MAX_TOKENS = 4_096
INSTRUCTIONS = """\
You write skills for a personal AI agent. A skill is a description, which tells the agent in one or two sentences what the skill does and \
when to use it, and a body: instructions in Markdown that the agent follows, step by step, with what to watch for and what the result \
should look like. Answer with one JSON object and nothing else: {"description": "...", "body": "..."}"""
CORRECTION = "That cannot be used: {}. Answer again with the JSON object alone."


class SkillDraft(BaseModel):
    """A description and a body that may be saved as they are."""

    description: str
    body: str


@dataclass(frozen=True, slots=True)
class SkillDrafts:
    """Asks the default model of the configuration."""

    config: Callable[[], Config]
    models: Models
    calls: ModelCalls
    book: Callable[[UsageRow], Awaitable[None]]

    async def write(self, name: str, description: str, wish: str) -> SkillDraft:
        """A draft. InvalidInput when there is no usable model, Upstream when it fails or talks nonsense twice."""
        from pydantic_ai.messages import InstructionPart, ModelRequest, UserPromptPart
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.settings import ModelSettings

        await self.models.warm_up()
        chosen = self.models.resolve()
        parameters = ModelRequestParameters(instruction_parts=[InstructionPart(INSTRUCTIONS)])
        settings = chosen.settings.copy() if chosen.settings else ModelSettings()
        settings["max_tokens"] = MAX_TOKENS
        lines = (f"Name: {name}", description and f"Description: {description}", wish and f"What it is for:\n{wish}")
        messages: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("\n".join(filter(None, lines)))])]
        problem = ""
        for _ in range(2):
            size = sum(len(str(message)) for message in messages) // 4
            async with self.calls.within_budget(chosen, "admin", None, size, MAX_TOKENS):
                try:
                    response = await chosen.model.request(messages, settings, parameters)
                except Exception as error:
                    raise Upstream(self.calls.explain(error)) from error
                await self.book(self.calls.usage_of(chosen, response, purpose="skill"))
            try:
                return _draft(response.text or "")
            except InvalidInput as error:
                problem = str(error)
            messages += [response, ModelRequest(parts=[UserPromptPart(CORRECTION.format(problem))])]
        raise Upstream(f"the model's answer cannot be used: {problem}")


def _draft(text: str) -> SkillDraft:
    """The JSON object in an answer. InvalidInput says what is wrong with it."""
    found = re.search(r"\{.*\}", text, re.DOTALL)
    if found is None:
        raise InvalidInput("it holds no JSON object")
    try:
        draft = SkillDraft.model_validate_json(found[0])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}") from error
    return SkillDraft(
        description=document.check_description(draft.description[: document.DESCRIPTION_LENGTH]),
        body=document.check_body(draft.body),
    )
