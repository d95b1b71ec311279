"""Runs the tool calls of one answer and brings their results into the three forms needed: for the model, for storage, for the stream."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starpod.agent.permission import Asks
from starpod.tasks import TaskSet
from starpod.telemetry.service import Telemetry
from starpod.tools.types import ToolContext

if TYPE_CHECKING:
    from pydantic_ai import RunContext
    from pydantic_ai.messages import ToolCallPart, ToolReturnPart
    from pydantic_ai.toolsets import AbstractToolset
    from pydantic_ai.toolsets.abstract import ToolsetTool

logger = logging.getLogger(__name__)

DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/=]{200,}")
MESSAGE_BYTES = 10_000
LARGE_CHARS = 50_000
HEX_RUN = re.compile(r"\b[0-9a-fA-F]{200,}\b")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How one call ended: `part` goes to the model, `content` is the whole text."""

    part: ToolReturnPart
    content: str
    is_error: bool


def arguments_of(call: ToolCallPart) -> dict[str, Any]:
    """The arguments as an object, for showing and storing; what is no JSON object stands under `raw`."""
    if isinstance(call.args, Mapping):
        return dict(call.args)
    try:
        parsed = json.loads(call.args or "{}")
    except ValueError:
        parsed = call.args
    return parsed if isinstance(parsed, dict) else {"raw": parsed}


async def run_tool_calls(
    calls: Sequence[ToolCallPart],
    toolset: AbstractToolset[ToolContext],
    tools: Mapping[str, ToolsetTool[ToolContext]],
    context: RunContext[ToolContext],
    *,
    max_bytes: int,
    permission: Asks,
    telemetry: Telemetry,
) -> AsyncIterator[ToolResult]:
    """Run calls side by side, one that changes something only by itself; results come as they finish. Never raises for a tool's failure."""
    batch: list[ToolCallPart] = []
    for call in calls:
        if (tool := tools.get(call.tool_name)) is not None and tool.tool_def.sequential:
            async for result in _run_batch(batch, toolset, tools, context, max_bytes, permission, telemetry):
                yield result
            batch = []
            yield await _run_one(call, toolset, tools, context, max_bytes, permission, telemetry)
        else:
            batch.append(call)
    async for result in _run_batch(batch, toolset, tools, context, max_bytes, permission, telemetry):
        yield result


async def _run_batch(
    calls: Sequence[ToolCallPart],
    toolset: AbstractToolset[ToolContext],
    tools: Mapping[str, ToolsetTool[ToolContext]],
    context: RunContext[ToolContext],
    max_bytes: int,
    permission: Asks,
    telemetry: Telemetry,
) -> AsyncIterator[ToolResult]:
    running = TaskSet("tools")
    try:
        tasks = [
            running.spawn(
                _run_one(call, toolset, tools, context, max_bytes, permission, telemetry), name=call.tool_name
            )
            for call in calls
        ]
        for done in asyncio.as_completed(tasks):
            yield await done
    finally:
        await running.close()


async def _run_one(
    call: ToolCallPart,
    toolset: AbstractToolset[ToolContext],
    tools: Mapping[str, ToolsetTool[ToolContext]],
    context: RunContext[ToolContext],
    max_bytes: int,
    permission: Asks,
    telemetry: Telemetry,
) -> ToolResult:
    from pydantic import ValidationError

    tool = tools.get(call.tool_name)
    if tool is None:
        return _failed(call, f"There is no tool named {call.tool_name!r}. The tools are: {', '.join(sorted(tools))}.")
    try:
        if isinstance(call.args, str):
            arguments = tool.args_validator.validate_json(call.args or "{}")
        else:
            arguments = tool.args_validator.validate_python(call.args or {})
    except (ValidationError, ValueError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        return _failed(
            call, f"{call.tool_name} was not run: its arguments are not usable ({reason}). Send one JSON object."
        )
    refusal = await permission.refusal(call.tool_call_id, call.tool_name, arguments_of(call))
    if refusal is not None:
        return _failed(call, refusal)
    return await _measured(call, arguments, toolset, tool, context, max_bytes, telemetry)


async def _measured(
    call: ToolCallPart,
    arguments: dict[str, Any],
    toolset: AbstractToolset[ToolContext],
    tool: ToolsetTool[ToolContext],
    context: RunContext[ToolContext],
    max_bytes: int,
    telemetry: Telemetry,
) -> ToolResult:
    with telemetry.tool_call(call.tool_name) as outcome:
        result = await _call(call, arguments, toolset, tool, context, max_bytes)
        outcome.is_error = result.is_error
        return result


async def _call(
    call: ToolCallPart,
    arguments: dict[str, Any],
    toolset: AbstractToolset[ToolContext],
    tool: ToolsetTool[ToolContext],
    context: RunContext[ToolContext],
    max_bytes: int,
) -> ToolResult:
    from dataclasses import replace

    from pydantic_ai.exceptions import ModelRetry, ToolFailed

    try:
        call_context = replace(context, tool_call_id=call.tool_call_id, tool_name=call.tool_name)
        output = await toolset.call_tool(call.tool_name, arguments, call_context, tool)
    except (ToolFailed, ModelRetry) as error:
        return await _off_loop(_failed, call, str(error), max_bytes)
    except Exception:
        logger.exception("tool %s failed", call.tool_name)
        return _failed(
            call, f"{call.tool_name} failed because of an internal error; the details are in the gateway's log."
        )
    return await _off_loop(_succeeded, call, output, max_bytes)


async def _off_loop(
    make: Callable[[ToolCallPart, Any, int], ToolResult], call: ToolCallPart, output: Any, max_bytes: int
) -> ToolResult:
    """Long texts take milliseconds to cut."""
    if isinstance(output, str) and len(output) < LARGE_CHARS:
        return make(call, output, max_bytes)
    return await asyncio.to_thread(make, call, output, max_bytes)


def _failed(call: ToolCallPart, text: str, max_bytes: int = MESSAGE_BYTES) -> ToolResult:
    from pydantic_ai.messages import ToolReturnPart

    content = cut(text, max_bytes)
    part = ToolReturnPart(tool_name=call.tool_name, tool_call_id=call.tool_call_id, content=content, outcome="failed")
    return ToolResult(part, text, True)


def _succeeded(call: ToolCallPart, output: Any, max_bytes: int) -> ToolResult:
    from pydantic_ai.messages import BinaryContent, ToolReturnPart
    from pydantic_core import to_json

    content: Any
    if isinstance(output, str):
        text, content = output, cut(output, max_bytes)
    elif isinstance(output, list) and any(isinstance(item, BinaryContent) for item in output):
        text = "\n".join(
            item if isinstance(item, str) else f"[{getattr(item, 'media_type', 'data')}]" for item in output
        )
        content = [cut(item, max_bytes) if isinstance(item, str) else item for item in output]
    else:
        text = to_json(output, fallback=str).decode()
        content = cut(text, max_bytes)
    return ToolResult(
        ToolReturnPart(tool_name=call.tool_name, tool_call_id=call.tool_call_id, content=content), text, False
    )


def cut(text: str, max_bytes: int) -> str:
    """What the model sees of a result: no embedded binary data, at most `max_bytes` bytes of its beginning and end.

    A note stands where something is missing.
    """
    text = DATA_URI.sub("[data removed]", text)
    text = HEX_RUN.sub("[data removed]", text)
    raw = text.encode(errors="replace")
    if len(raw) <= max_bytes:
        return text
    head = raw[: max_bytes - max_bytes // 4].decode(errors="ignore")
    tail = raw[len(raw) - max_bytes // 4 :].decode(errors="ignore")
    return f"{head}\n[cut: {len(raw) - max_bytes} of {len(raw)} bytes are not shown here]\n{tail}"
