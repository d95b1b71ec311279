"""What a model is told when it calls tools wrongly, and that the run goes on."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from starpod.tools.files import FILE_TOOLS
from starpod.tools.registry import toolset
from starpod.tools.types import ToolContext, ToolFailure, ToolOutput, ToolSpec
from tests.tools.support import Desk


class Nothing(BaseModel):
    pass


def _run(
    desk: Desk, run: Callable[[ToolContext, Any], ToolOutput | Awaitable[ToolOutput]], times: int = 1
) -> list[ToolReturnPart]:
    results: list[ToolReturnPart] = []

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        results.extend(part for part in messages[-1].parts if isinstance(part, ToolReturnPart))
        return ModelResponse(parts=[ToolCallPart("Try", {}) if len(results) < times else TextPart("done")])

    tools = toolset([ToolSpec("Try", "Try it.", Nothing, run)])
    agent = Agent(FunctionModel(model), deps_type=ToolContext, toolsets=[tools])
    assert asyncio.run(agent.run("go", deps=desk.context)).output == "done"
    return results


def test_missing_and_wrong_parameters_are_named(desk: Desk) -> None:
    assert desk.failure("Read") == "Read was not run: the required parameter `file_path` is missing."
    message = desk.failure("Write", file_path=["a"], content=7)
    assert message.startswith("Write was not run: parameter `file_path`: ")
    assert "parameter `content`: " in message
    assert "`-A`" in str(desk.batch([("Grep", {"pattern": "x", "-A": "many"})])[0].content)


def test_null_is_the_same_as_left_out(desk: Desk) -> None:
    assert desk.failure("Read", file_path=None) == "Read was not run: the required parameter `file_path` is missing."
    (result,) = desk.batch([("FileList", {"path": None})])
    assert result.outcome == "success"


@pytest.mark.parametrize("arguments", ['{"file_path": ', "[1]", '"text"', "7", "null"])
def test_arguments_that_are_no_object_are_an_error_result(desk: Desk, arguments: str) -> None:
    (result,) = desk.batch([("Read", arguments)])
    assert result.outcome in ("failed", "retried")


def test_an_unknown_tool_is_answered_by_the_valid_ones(desk: Desk) -> None:
    unknown, known = desk.batch([("Bash", {"command": "ls"}), ("FileList", {})])
    assert unknown.outcome == "retried"
    assert "'Bash'" in str(unknown.content)
    assert all(f"'{spec.name}'" in str(unknown.content) for spec in FILE_TOOLS)
    assert known.outcome == "success"


def test_unknown_and_extra_parameters_do_no_harm(desk: Desk) -> None:
    assert desk.text("FileList", path=".", ctx=1, context=2, self=3) == "[]"


def test_failing_again_and_again_does_not_end_the_run(desk: Desk) -> None:
    def run(context: ToolContext, arguments: Nothing) -> str:
        raise ToolFailure("not today")

    results = _run(desk, run, times=25)
    assert [(result.content, result.outcome) for result in results] == [("not today", "failed")] * 25


def test_an_os_error_is_told_without_the_machines_paths(desk: Desk) -> None:
    def run(context: ToolContext, arguments: Nothing) -> str:
        raise FileNotFoundError(2, "No such file", "/very/private/path")

    (result,) = _run(desk, run)
    assert (result.content, result.outcome) == ("Try failed: No such file or directory", "failed")


def test_a_bug_in_a_tool_is_logged_and_told_in_general(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async def run(context: ToolContext, arguments: Nothing) -> str:
        raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR):
        (result,) = _run(desk, run)
    assert result.outcome == "failed"
    assert "secret detail" not in str(result.content)
    assert "secret detail" in caplog.text


def test_plain_functions_run_off_the_loop_and_coroutines_on_it(desk: Desk) -> None:
    def off(context: ToolContext, arguments: Nothing) -> str:
        return threading.current_thread().name

    async def on(context: ToolContext, arguments: Nothing) -> str:
        return threading.current_thread().name

    assert _run(desk, off)[0].content != threading.main_thread().name
    assert _run(desk, on)[0].content == threading.main_thread().name


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="share a name"):
        toolset(FILE_TOOLS, FILE_TOOLS)


def test_importing_the_tools_does_not_import_the_model_library() -> None:
    code = "import sys, starpod.tools.files, starpod.tools.registry, starpod.agent.offline; assert 'pydantic_ai' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], timeout=60)
