"""A home and a real pydantic-ai agent that makes the tool calls a test wants, and hands back what the model was shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from starpod.tools.files import FILE_TOOLS
from starpod.tools.registry import toolset
from starpod.tools.types import OutgoingFile, ToolContext


class Desk:
    """Calls the file tools in `home` for a user; `attached` collects what they attach."""

    def __init__(self, home: Path, *, max_attachment_bytes: int = 1_000_000) -> None:
        self.home = home
        self.attached: list[OutgoingFile] = []
        self.context = ToolContext("ann", "session", "turn", home, "user", self.attached.append, max_attachment_bytes)

    def batch(self, calls: Sequence[tuple[str, Any]]) -> list[ToolReturnPart]:
        """Make all calls in one model response; the results in the order of the calls. Arguments may be raw JSON text."""
        results: list[ToolReturnPart] = []

        def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            if len(messages) == 1:
                return ModelResponse(parts=[ToolCallPart(name, arguments) for name, arguments in calls])
            results.extend(part for part in messages[-1].parts if isinstance(part, ToolReturnPart))
            return ModelResponse(parts=[TextPart("done")])

        tools = toolset(FILE_TOOLS)
        agent = Agent(FunctionModel(model), deps_type=ToolContext, toolsets=[tools], retries={"tools": 1_000})
        assert asyncio.run(agent.run("go", deps=self.context)).output == "done"
        return results

    def call(self, name: str, /, **arguments: Any) -> ToolReturnPart:
        """Make one call."""
        (result,) = self.batch([(name, arguments)])
        return result

    def text(self, name: str, /, **arguments: Any) -> str:
        """The result of a call that must succeed."""
        result = self.call(name, **arguments)
        assert result.outcome == "success", result.content
        assert isinstance(result.content, str)
        return result.content

    def failure(self, name: str, /, **arguments: Any) -> str:
        """The message of a call that must fail."""
        result = self.call(name, **arguments)
        assert result.outcome == "failed", result.content
        assert isinstance(result.content, str)
        return result.content
