"""Offers tool families to pydantic-ai. Every failure becomes a result that the model sees as an error; none ends the run."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from starpod.tools.types import ToolContext, ToolFailure, ToolImage, ToolOutput, ToolSpec

if TYPE_CHECKING:
    from pydantic_ai import FunctionToolset, RunContext, Tool

logger = logging.getLogger(__name__)

MAX_RETRIES = 10_000
"""pydantic-ai ends the run when a tool's arguments were no JSON object more often than this; `max_turns` is the limit we want."""


def toolset(*families: Sequence[ToolSpec]) -> FunctionToolset[ToolContext]:
    """The tools of all `families`, in order, for an agent whose `deps_type` is `ToolContext`.

    A failed call is answered by a `ToolReturnPart` whose `outcome` is `"failed"`; arguments that are no JSON object, and a name
    that no tool has, by one whose `outcome` is `"retried"`. ValueError when two tools share a name.
    """
    from pydantic_ai import FunctionToolset

    specs = [spec for family in families for spec in family]
    names = [spec.name for spec in specs]
    if len(set(names)) != len(names):
        raise ValueError(f"two tools share a name: {', '.join(sorted(names))}")
    return FunctionToolset[ToolContext](tools=[_tool(spec) for spec in specs], max_retries=MAX_RETRIES, id="starpod")


def _tool(spec: ToolSpec) -> Tool[ToolContext]:
    from pydantic_ai import BinaryContent, Tool, ToolFailed
    from pydantic_core import SchemaValidator, core_schema

    async def call(context: RunContext[ToolContext], /, **arguments: Any) -> Any:
        try:
            output = await run_tool(spec, context.deps, arguments)
        except ToolFailure as error:
            raise ToolFailed(str(error)) from error
        if isinstance(output, ToolImage):
            return [output.text, BinaryContent(data=output.data, media_type=output.media_type)]
        return output

    tool: Tool[ToolContext] = Tool.from_schema(
        call, spec.name, spec.description, schema_of(spec), takes_ctx=True, sequential=spec.sequential
    )
    # `from_schema` accepts any JSON; a list or a number would then fail as a keyword call and end the run.
    tool.function_schema.validator = SchemaValidator(
        core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema())
    )
    return tool


async def run_tool(spec: ToolSpec, context: ToolContext, arguments: dict[str, Any]) -> ToolOutput:
    """Run a tool with what a model or client gave it. Raises ToolFailure, which says what is wrong."""
    try:
        # Models say null for what they leave out; no tool has a use for it.
        given = {name: value for name, value in arguments.items() if value is not None}
        parsed = spec.arguments.model_validate(given)
    except ValidationError as error:
        raise ToolFailure(_complaint(spec.name, error)) from error
    try:
        if inspect.iscoroutinefunction(spec.run):
            return await cast(Awaitable[ToolOutput], spec.run(context, parsed))
        run = cast(Callable[[ToolContext, Any], ToolOutput], spec.run)
        return await asyncio.to_thread(run, context, parsed)
    except ToolFailure:
        raise
    except OSError as error:
        # Only the reason: the error's own text holds absolute paths of the machine.
        raise ToolFailure(
            f"{spec.name} failed: {os.strerror(error.errno) if error.errno else 'input/output error'}"
        ) from error
    except Exception as error:
        logger.exception("tool %s failed", spec.name)
        raise ToolFailure(
            f"{spec.name} failed because of an internal error; the details are in the gateway's log."
        ) from error


def _complaint(name: str, error: ValidationError) -> str:
    """Names the tool, each parameter that is missing or wrong, and why."""
    reasons = []
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        parameter = ".".join(str(part) for part in detail["loc"]) or "arguments"
        if detail["type"] == "missing":
            reasons.append(f"the required parameter `{parameter}` is missing")
        else:
            reasons.append(f"parameter `{parameter}`: {detail['msg']}")
    return f"{name} was not run: {'; '.join(reasons)}."


def schema_of(spec: ToolSpec) -> dict[str, Any]:
    """The JSON schema of the arguments, without the titles that would only cost tokens."""
    schema = spec.arguments.model_json_schema(by_alias=True)
    schema.pop("title", None)
    schema.pop("description", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)
    return schema
