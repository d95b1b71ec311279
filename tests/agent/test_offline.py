"""The offline assistant through a real agent loop, with the real file tools."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, BinaryContent, FunctionToolset, RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import RunUsage

from starpod.agent.offline import build_model
from starpod.tools.files import FILE_TOOLS
from starpod.tools.registry import toolset
from starpod.tools.types import OutgoingFile, ToolContext


class StandingClock:
    """Noon UTC on a Friday."""

    def now(self) -> datetime:
        return datetime(2026, 3, 20, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


@dataclass
class Chat:
    """A conversation with the assistant in `home`."""

    home: Path
    toolsets: Sequence[Any] = ()
    attached: list[OutgoingFile] = field(default_factory=list)
    history: list[ModelMessage] = field(default_factory=list)

    def agent(self) -> Agent[ToolContext, str]:
        model = build_model(clock=StandingClock(), timezone="Europe/Berlin")
        tools = [toolset(FILE_TOOLS), *self.toolsets]
        return Agent(
            model, deps_type=ToolContext, toolsets=tools, instructions="You are Nova. Always say: read file notes.md"
        )

    @property
    def context(self) -> ToolContext:
        return ToolContext("ann", "session", "turn", self.home, "user", self.attached.append, 1_000)

    def say(self, message: str | Sequence[UserContent]) -> str:
        result = asyncio.run(self.agent().run(message, deps=self.context, message_history=self.history))
        self.history = result.all_messages()
        return result.output

    def stream(self, message: str) -> tuple[list[str], int, int]:
        """The deltas, and the input and output tokens."""

        async def run() -> tuple[list[str], int, int]:
            async with self.agent().run_stream(message, deps=self.context) as result:
                deltas = [delta async for delta in result.stream_text(delta=True, debounce_by=None)]
                return deltas, result.usage.input_tokens, result.usage.output_tokens

        return asyncio.run(run())


@pytest.fixture
def chat(tmp_path: Path) -> Chat:
    return Chat(tmp_path / "home")


def test_it_says_what_it_is(chat: Chat) -> None:
    for message in ("Hello!", "hi", "help", "/help", "What can you do?", "Who are you?", "Tell me a joke about cats"):
        assert "offline assistant, not a language model" in chat.say(message)


def test_it_explains_how_to_connect_a_model(chat: Chat) -> None:
    for message in (
        "How do I add a key?",
        "how can I use a different model?",
        "Add an API key",
        "how to set up a provider",
    ):
        answer = chat.say(message)
        assert "ANTHROPIC_API_KEY" in answer
        assert ".starpod/config/agent.toml" in answer
        assert "models = [" in answer


def test_it_remembers_and_recalls(chat: Chat) -> None:
    assert "no notes yet" in chat.say("What do you remember about the meeting?")
    assert "no notes yet" in chat.say("show my notes")
    assert chat.say("Remember that the meeting is on Friday.") == "I will remember that: the meeting is on Friday"
    chat.say("please remember: buy milk")
    assert (chat.home / "notes.md").read_text() == "- the meeting is on Friday\n- buy milk\n"
    answer = chat.say("What do you remember about the meeting?")
    assert "the meeting is on Friday" in answer
    assert "milk" not in answer
    assert "buy milk" in chat.say("what do you remember?")
    assert "notes.md" in chat.say("search for milk")
    assert "nothing about" in chat.say("what do you remember about Zanzibar?")


def test_it_works_with_files(chat: Chat) -> None:
    assert "Created" in chat.say('write "Hello World" to file documents/a.txt')
    assert (chat.home / "documents/a.txt").read_text() == "Hello World\n"
    chat.say("append Again to file documents/a.txt")
    assert "Hello World\nAgain" in chat.say("read file documents/a.txt")
    assert "documents/" in chat.say("list files")
    assert "a.txt (18 bytes)" in chat.say("List files in documents")
    assert "documents/a.txt" in chat.say("find files *.txt")
    assert "documents/a.txt" in chat.say("find files a.t")
    chat.say("attach documents/a.txt")
    assert [file.file_name for file in chat.attached] == ["a.txt"]


@pytest.mark.parametrize(
    "message",
    ["read file /etc/passwd", "read ../secret", "list files in nowhere", "attach nothing.txt", "read documents"],
)
def test_a_failed_tool_is_explained(chat: Chat, message: str) -> None:
    chat.say("write x to file documents/a.txt")
    answer = chat.say(message)
    assert answer.startswith("That did not work:")
    assert "root:" not in answer


def test_a_text_with_a_fence_of_its_own_stays_whole(chat: Chat) -> None:
    chat.home.mkdir()
    (chat.home / "a.md").write_text("```\ncode\n```\n")
    assert chat.say("read a.md") == "a.md:\n\n````\n```\ncode\n```\n````"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("2+2", "2+2 = 4"),
        ("what is 12 * (3 + 4)?", "12 * (3 + 4) = 84"),
        ("0.1 + 0.2", "0.1 + 0.2 = 0.3"),
        ("calculate 10/4", "10/4 = 2.5"),
        ("what is 2 ^ 10", "2 ** 10 = 1024"),
        ("what's 1,000 x 3?", "1000*3 = 3000"),
        ("-3 - -4", "-3 - -4 = 1"),
        ("7 // 2", "7 // 2 = 3"),
        ("what is 1/3", "1/3 = 0.333333333333"),
        ("1/0", "A division by zero has no result."),
        ("9**9**9", "That number is too big for me."),
        ("0 ** -1", "A division by zero has no result."),
    ],
)
def test_sums(chat: Chat, message: str, answer: str) -> None:
    assert chat.say(message) == answer


@pytest.mark.parametrize(
    "message", ["2026-03-20", "555-1234", "what is love?", "__import__('os')", "(" * 90, "1" * 300, "what is 2**"]
)
def test_what_is_no_sum_is_not_evaluated(chat: Chat, message: str) -> None:
    assert " = " not in chat.say(message).replace("models = [", "")


def test_it_tells_the_time_in_the_configured_zone(chat: Chat) -> None:
    for message in ("what time is it?", "What's the date?", "what day is today"):
        assert chat.say(message) == "It is 13:00 on Friday, 20 March 2026 (CET)."


def test_reminders_need_the_scheduler(chat: Chat) -> None:
    assert "cannot set reminders" in chat.say("remind me in 5 minutes to stretch")
    assert "remind me" not in chat.say("help")


@pytest.mark.parametrize(
    ("message", "schedule"),
    [
        ("Remind me in 20 minutes to stretch", {"kind": "one_shot", "at": "2026-03-20T13:20:00+01:00"}),
        ("remind me to stretch in an hour", {"kind": "one_shot", "at": "2026-03-20T14:00:00+01:00"}),
        ("remind me at 18:30 to stretch", {"kind": "one_shot", "at": "2026-03-20T18:30:00+01:00"}),
        ("remind me at 9 am to stretch", {"kind": "one_shot", "at": "2026-03-21T09:00:00+01:00"}),
        ("remind me tomorrow at 7pm to stretch", {"kind": "one_shot", "at": "2026-03-21T19:00:00+01:00"}),
        ("remind me every 2 hours to stretch", {"kind": "interval", "every_ms": 7_200_000}),
        ("remind me every day at 8:15 to stretch", {"kind": "cron", "expr": "15 8 * * *"}),
        ("remind me to stretch", None),
        ("remind me at 25:00 to stretch", None),
        ("remind me in 99999 weeks to stretch", {"kind": "one_shot", "at": "3942-09-12T13:00:00+01:00"}),
    ],
)
def test_reminders_become_jobs(tmp_path: Path, message: str, schedule: dict[str, Any] | None) -> None:
    jobs: list[tuple[str, dict[str, Any]]] = []
    cron = FunctionToolset[ToolContext]()

    @cron.tool_plain(name="CronAdd")
    def cron_add(name: str, prompt: str, schedule: dict[str, Any], delete_after_run: bool = False) -> str:
        """Add a job."""
        jobs.append((prompt, schedule))
        return "Scheduled"

    answer = Chat(tmp_path, [cron]).say(message)
    if schedule is None:
        assert "did not understand when" in answer
        assert jobs == []
    else:
        assert jobs[0][0] == "Remind the user: stretch"
        if message != "remind me in 99999 weeks to stretch":
            assert jobs[0][1] == schedule
        assert answer.startswith("I will remind you")
        assert Chat(tmp_path).say(jobs[0][0]) == "Reminder: stretch"


def test_memory_tools_are_preferred(tmp_path: Path) -> None:
    written: list[tuple[str, str, bool]] = []
    memory = FunctionToolset[ToolContext]()

    @memory.tool_plain(name="MemoryWrite")
    def memory_write(file: str, content: str, append: bool = False) -> str:
        """Write."""
        written.append((file, content, append))
        return "ok"

    @memory.tool_plain(name="MemorySearch")
    def memory_search(query: str, limit: int = 5) -> str:
        """Search."""
        return (
            '[{"source": "MEMORY.md", "text": "- tea at four", "lines": "1-1", "citation": "MEMORY.md#L1-L1"}]'
            if query == "tea"
            else "[]"
        )

    chat = Chat(tmp_path / "home", [memory])
    assert "I will remember" in chat.say("remember that tea is at four")
    assert written == [("MEMORY.md", "- tea is at four\n", True)]
    assert chat.say("what do you remember about tea?").endswith("- tea at four (MEMORY.md#L1-L1)")
    assert "nothing" in chat.say("what do you remember about coffee?")
    assert not (chat.home / "notes.md").exists()


def test_attachments_do_not_hide_the_text(chat: Chat) -> None:
    image = BinaryContent(data=b"\x89PNG", media_type="image/png")
    assert chat.say(["what is 2+3?", image]) == "2+3 = 5"
    assert chat.say("what is 2+3?\n\n[Attached: a.png (image/png), saved as downloads/a.png]") == "2+3 = 5"
    assert "downloads" in chat.say("[Attached: a.png (image/png), saved as downloads/a.png]")
    assert "downloads" in chat.say("Look at this\n[Attached: a.png (image/png), saved as downloads/a.png]")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "   ",
        "\n",
        "?!",
        "😀",
        "a" * 50_000,
        "write a" + " " * 50_000 + "b",
        "!" * 50_000 + "x",
        "\x00",
        "remember",
        "read",
        "write to",
        "search",
    ],
)
def test_odd_messages_get_an_answer(chat: Chat, message: str) -> None:
    assert chat.say(message)


def test_it_streams_in_words_and_counts_tokens(chat: Chat) -> None:
    deltas, input_tokens, output_tokens = chat.stream("what can you do?")
    assert len(deltas) > 20
    assert "".join(deltas) == chat.say("what can you do?")
    assert input_tokens > 0
    assert output_tokens > 0


def test_a_tool_call_and_its_answer_stream_too(chat: Chat) -> None:
    chat.say("remember that tea is at four")
    deltas, _, _ = chat.stream("what do you remember?")
    assert "tea is at four" in "".join(deltas)


def test_a_long_answer_comes_in_a_bounded_number_of_pieces(chat: Chat) -> None:
    chat.home.mkdir()
    (chat.home / "big.txt").write_text("a b " * 10_000)
    deltas, _, _ = chat.stream("read big.txt")
    assert 100 < len(deltas) <= 401


def test_the_same_question_gets_the_same_answer(chat: Chat) -> None:
    assert chat.stream("help") == chat.stream("help")


async def _answer(chat: Chat, messages: list[ModelMessage]) -> ModelResponse:
    """What the model streams when it is given `messages` as they are stored, with the file tools."""
    tools = toolset(FILE_TOOLS)
    model = build_model(clock=StandingClock())
    context: RunContext[ToolContext] = RunContext(deps=chat.context, model=model, usage=RunUsage())
    definitions = [tool.tool_def for tool in (await tools.get_tools(context)).values()]
    async with model.request_stream(messages, None, ModelRequestParameters(function_tools=definitions)) as stream:
        async for _ in stream:
            pass
    return stream.get()


def test_a_stopped_turn_is_not_run_again(chat: Chat) -> None:
    stopped = ModelRequest(parts=[UserPromptPart("remember that this was stopped")])
    response = asyncio.run(_answer(chat, [stopped, ModelRequest(parts=[UserPromptPart("2+2")])]))
    assert response.text == "2+2 = 4"
    assert not response.tool_calls


def test_an_interrupted_call_is_not_run_again(chat: Chat) -> None:
    messages: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart("list files")]),
        ModelResponse(parts=[ToolCallPart("FileList", {}, "1")]),
        ModelRequest(parts=[ToolReturnPart("FileList", "interrupted", "1", outcome="failed")]),
        ModelRequest(parts=[UserPromptPart("hello")]),
    ]
    response = asyncio.run(_answer(chat, messages))
    assert (response.text or "").startswith("Hello!")


def test_a_follow_up_during_a_turn_is_answered_as_well(chat: Chat) -> None:
    chat.say("write x to file a.txt")

    async def run() -> str:
        async with chat.agent().iter("list files", deps=chat.context) as turn:
            sent = False
            async for node in turn:
                if Agent.is_call_tools_node(node) and not sent:
                    sent = True
                    turn.enqueue("read a.txt")
            assert turn.result is not None
            return turn.result.output

    answer = asyncio.run(run())
    assert "a.txt (2 bytes)" in answer
    assert "```\nx\n```" in answer


def test_asked_to_summarise_it_keeps_the_end_word_for_word(chat: Chat) -> None:
    agent = Agent(build_model(), instructions="Summarise this conversation.")
    answer = asyncio.run(agent.run("remember that x\n" + "words " * 5_000 + "the end")).output
    assert answer.endswith("the end")
    assert len(answer) < 5_000


def test_it_is_named_for_the_books(chat: Chat) -> None:
    model = build_model()
    assert (model.system, model.model_name) == ("offline", "assistant")
