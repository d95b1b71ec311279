"""Models through the real SDKs against scripted providers: streams, failures, retries, fallbacks, stopping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)

from starpod.agent.costs import TokenUsage
from starpod.agent.models import ChosenModel, Models
from starpod.agent.provider_clients import normalised_base_url
from starpod.agent.provider_http import proxy_mounts
from starpod.agent.registry import Registry
from starpod.config.schema import Config
from starpod.errors import InvalidInput
from tests.providers.anthropic_server import AnthropicServer
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import (
    Burst,
    CallTool,
    Cut,
    Fail,
    FailInStream,
    Gate,
    Hang,
    Say,
    SplitCharacter,
    Step,
    Think,
    Usage,
    Wait,
    script,
)
from tests.providers.scripted_server import ScriptedServer

T = TypeVar("T")
KEY = "sk-secret-0123456789abcdef"
SERVERS = ("openai", "anthropic")


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def anthropic() -> Iterator[AnthropicServer]:
    with AnthropicServer() as server:
        yield server


@dataclass
class Setup:
    """Two scripted providers and a config that points to them."""

    openai: OpenAIServer
    anthropic: AnthropicServer
    environ: dict[str, str] = field(default_factory=lambda: {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY})
    settings: dict[str, Any] = field(default_factory=dict)

    def server(self, provider: str) -> ScriptedServer:
        return self.openai if provider == "openai" else self.anthropic

    def config(self) -> Config:
        providers = {
            "openai": {"base_url": self.openai.base_url},
            "anthropic": {"base_url": self.anthropic.base_url},
            "my-llm": {"base_url": f"{self.openai.base_url}/chat/completions", "options": {"top_k": 7}},
        }
        http = {"max_retries": 2, "first_event_timeout_secs": 5, **self.settings.get("provider_http", {})}
        models = ("openai/gpt-4o", "anthropic/claude-haiku-4-5", "my-llm/big")
        return Config(**{"models": models, **self.settings, "providers": providers, "provider_http": http})

    def run(self, work: Callable[[Models], Awaitable[T]]) -> T:
        """Run `work` with fresh models on a loop of its own, at most 20 s."""

        async def body() -> T:
            config = self.config()
            models = Models(lambda: config, lambda: self.environ, Registry.load())
            await models.warm_up()
            try:
                async with asyncio.timeout(20):
                    return await work(models)
            finally:
                await models.aclose()

        return asyncio.run(body())

    def only(self, provider: str) -> str:
        """Make the provider's model the only one, so that nothing stands in for it."""
        spec = {"openai": "openai/gpt-4o", "anthropic": "anthropic/claude-haiku-4-5", "my-llm": "my-llm/big"}[provider]
        self.settings["models"] = (spec,)
        return spec

    def failure(self, provider: str, *steps: Step | str, **settings: Any) -> str:
        """What a person is told when the provider does this."""
        spec = self.only(provider)
        self.server(provider).play(script(*steps))
        self.settings |= settings

        async def work(models: Models) -> str:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever the SDK raises is explained
                await ask(models.resolve(spec))
            return models.explain(caught.value).text

        return self.run(work)


@pytest.fixture
def setup(openai: OpenAIServer, anthropic: AnthropicServer) -> Setup:
    return Setup(openai, anthropic)


def prompt(*content: Any) -> list[Any]:
    return [ModelRequest(parts=[UserPromptPart(content if len(content) > 1 else content[0])])]


async def ask(chosen: ChosenModel, messages: list[Any] | None = None) -> tuple[list[str], ModelResponse]:
    """Stream one answer: its pieces as they came, and the whole response."""
    pieces: list[str] = []
    async with model_request_stream(chosen.model, messages or prompt("hi"), model_settings=chosen.settings) as stream:
        async for event in stream:
            if event.event_kind == "part_start" and isinstance(event.part, TextPart):
                pieces.append(event.part.content)
            elif event.event_kind == "part_delta" and event.delta.part_delta_kind == "text":
                pieces.append(event.delta.content_delta)
    return pieces, stream.get()


def answer(setup: Setup, provider: str, *steps: Step | str) -> tuple[list[str], ModelResponse]:
    spec = setup.only(provider)
    setup.server(provider).play(script(*steps))
    return setup.run(lambda models: ask(models.resolve(spec)))


@pytest.mark.parametrize("provider", SERVERS)
def test_a_stream_gives_text_and_usage(setup: Setup, provider: str) -> None:
    pieces, response = answer(setup, provider, Say(("Hel", "lo ", "you")), Usage(10, 5, cache_read=7, cache_write=3))

    assert "".join(pieces) == "Hello you"
    assert TokenUsage.from_usage(response.usage) == TokenUsage(10, 5, 7, 3)


def test_the_request_asks_for_usage_and_carries_key_and_limits(setup: Setup) -> None:
    answer(setup, "openai", "ok")
    [request] = setup.openai.requests

    assert request.body["stream_options"] == {"include_usage": True}
    assert request.body["max_completion_tokens"] == 16384
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_custom_provider_gets_its_options_and_needs_no_key(setup: Setup) -> None:
    setup.settings["models"] = ("my-llm/big",)
    pieces, response = setup.run(lambda models: ask(models.resolve()))
    [request] = setup.openai.requests

    assert request.body["top_k"] == 7
    assert KEY not in request.headers["authorization"]
    assert (pieces, response.provider_name) == (["Hello."], "my-llm")


@pytest.mark.parametrize("provider", SERVERS)
def test_a_character_in_two_packets_arrives_whole(setup: Setup, provider: str) -> None:
    pieces, _ = answer(setup, provider, "a ", SplitCharacter("Gr\u00fc\u00dfe \U0001f600"))

    assert "".join(pieces) == "a Gr\u00fc\u00dfe \U0001f600"


@pytest.mark.parametrize("provider", SERVERS)
def test_a_burst_arrives_joined_and_complete(setup: Setup, provider: str) -> None:
    words = tuple(f"{number} " for number in range(200))

    pieces, _ = answer(setup, provider, Burst(words))

    assert "".join(pieces) == "".join(words)
    assert len(pieces) < 50


@pytest.mark.parametrize("provider", SERVERS)
def test_an_unknown_tool_call_comes_back_as_a_call(setup: Setup, provider: str) -> None:
    _, response = answer(setup, provider, "Let me see.", CallTool("Nonsense", '{"path": "x"}', "call_9"))

    [call] = [part for part in response.parts if isinstance(part, ToolCallPart)]
    assert (call.tool_name, call.args_as_dict(), call.tool_call_id) == ("Nonsense", {"path": "x"}, "call_9")


def test_thinking_is_asked_for_and_replayed_with_its_signature(setup: Setup) -> None:
    spec = setup.only("anthropic")
    setup.settings["reasoning_effort"] = "medium"
    setup.anthropic.play(
        script(Think(("deep ", "thought"), "signed"), Think(redacted=True, signature="opaque"), "yes"), script("again")
    )

    async def work(models: Models) -> ModelResponse:
        chosen = models.resolve(spec)
        _, response = await ask(chosen)
        await ask(chosen, [*prompt("hi"), response, *prompt("and now?")])
        return response

    response = setup.run(work)
    first, second = (request.body for request in setup.anthropic.requests)

    assert first["thinking"] == {"type": "enabled", "budget_tokens": 10240}
    assert first["max_tokens"] == 10240 + 8192
    assert [part.content for part in response.parts if isinstance(part, ThinkingPart)] == ["deep thought", ""]
    replayed = second["messages"][1]["content"]
    assert replayed[0] == {"type": "thinking", "thinking": "deep thought", "signature": "signed"}
    assert replayed[1] == {"type": "redacted_thinking", "data": "opaque"}


def test_anthropic_requests_mark_what_to_cache(setup: Setup) -> None:
    answer(setup, "anthropic", "ok")
    [request] = setup.anthropic.requests

    assert request.path == "/v1/messages"
    assert request.body["messages"][-1]["content"][-1]["cache_control"]["type"] == "ephemeral"


def test_images_are_sent_to_openai(setup: Setup) -> None:
    spec = setup.only("openai")
    messages = prompt("what is it?", BinaryContent(b"\x89PNG", media_type="image/png"))

    setup.run(lambda models: ask(models.resolve(spec), messages))

    [request] = setup.openai.requests
    assert request.body["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")


def test_a_whole_answer_without_streaming(setup: Setup) -> None:
    spec = setup.only("openai")
    response = setup.run(lambda models: model_request(models.resolve(spec).model, prompt("hi")))

    assert response.text == "Hello."


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (Fail(401, f"Incorrect API key provided: {KEY}"), "Authentication failed: "),
        (Fail(403, "no"), "Authentication failed: "),
        (Fail(400, "max_tokens is too large"), "Invalid request: "),
        (Fail(402, "no credit"), "Billing: "),
        (Fail(404, "no such model"), "Invalid request: "),
        (Fail(429, "slow down", headers={"Retry-After": "7", "x-should-retry": "false"}), "Rate limited: "),
        (Fail(500, "oops", headers={"x-should-retry": "false"}), "Server error: "),
        (Fail(529, "overloaded", "overloaded_error", headers={"x-should-retry": "false"}), "Server error: "),
    ],
)
def test_a_refusal_is_told_in_plain_words_without_the_key(
    setup: Setup, provider: str, failure: Fail, text: str
) -> None:
    told = setup.failure(provider, failure)

    assert told.startswith(text)
    assert "sk-" not in told
    assert "127.0.0.1" not in told
    if failure.status == 429:
        assert "7 s" in told
    if failure.status == 400:
        assert "max_tokens is too large" in told


@pytest.mark.parametrize("provider", SERVERS)
def test_an_error_inside_the_stream_is_told(setup: Setup, provider: str) -> None:
    assert setup.failure(provider, "some text", FailInStream("busy", "overloaded_error")).startswith("Server error: ")


@pytest.mark.parametrize("provider", SERVERS)
def test_a_stream_cut_mid_word_is_told_after_its_text(setup: Setup, provider: str) -> None:
    assert setup.failure(provider, "some text", Cut()).startswith("Connection failed: the connection to ")


@pytest.mark.parametrize("provider", SERVERS)
def test_a_provider_that_hangs_runs_into_the_first_event_timeout(setup: Setup, provider: str) -> None:
    told = setup.failure(provider, Hang(), provider_http={"first_event_timeout_secs": 0.2})

    assert told.startswith("Timed out: ")
    assert setup.server(provider).requests[0].closed.wait(5), "nobody waits any longer, so the connection is closed"


def test_a_stream_that_hangs_in_the_middle_runs_into_the_timeout_of_the_call(setup: Setup) -> None:
    assert setup.failure("openai", "some", Hang(), provider_http={"timeout_secs": 0.3}).startswith("Timed out: ")


def test_a_provider_that_is_not_there_is_told(setup: Setup) -> None:
    setup.only("openai")
    with OpenAIServer() as gone:
        pass
    setup.openai = gone

    async def work(models: Models) -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await ask(models.resolve())
        return models.explain(caught.value).text

    setup.settings["provider_http"] = {"max_retries": 0, "connect_timeout_secs": 0.5}
    told = setup.run(work)

    assert told.startswith(("Connection failed: ", "Timed out: "))


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize("status", [429, 500, 529])
def test_an_overloaded_provider_is_asked_again_after_what_it_says(setup: Setup, provider: str, status: int) -> None:
    spec = setup.only(provider)
    server = setup.server(provider)
    server.play(script(Fail(status, headers={"Retry-After": "0.2"})), script("at last"))

    pieces, _ = setup.run(lambda models: ask(models.resolve(spec)))

    assert pieces == ["at last"]
    first, second = server.requests
    assert second.received_at - first.received_at >= 0.2


def test_a_later_model_stands_in_for_one_that_is_down(setup: Setup) -> None:
    setup.openai.play(script(Fail(500, headers={"x-should-retry": "false"})))
    setup.anthropic.play(script("from the other"))

    pieces, response = setup.run(lambda models: ask(models.resolve()))

    assert pieces == ["from the other"]
    assert (response.provider_name, response.model_name) == ("anthropic", "claude-haiku-4-5")


@pytest.mark.parametrize("status", [400, 401])
def test_a_refused_request_has_no_stand_in(setup: Setup, status: int) -> None:
    setup.openai.play(script(Fail(status)))

    async def work(models: Models) -> None:
        with pytest.raises(Exception):  # noqa: B017, PT011
            await ask(models.resolve())

    setup.run(work)
    assert not setup.anthropic.requests


def test_a_stream_that_fails_after_its_first_text_has_no_stand_in(setup: Setup) -> None:
    setup.openai.play(script("some text", Cut()))

    async def work(models: Models) -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await ask(models.resolve())
        return models.explain(caught.value).kind

    assert setup.run(work) == "connection"
    assert not setup.anthropic.requests


def test_when_all_are_down_the_first_is_told(setup: Setup) -> None:
    failure = Fail(529, headers={"x-should-retry": "false"})
    setup.settings["models"] = ("openai/gpt-4o", "anthropic/claude-haiku-4-5")
    setup.openai.play(script(failure))
    setup.anthropic.play(script(failure))

    async def work(models: Models) -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await ask(models.resolve())
        return models.explain(caught.value).text

    told = setup.run(work)
    assert told.startswith("Server error: gpt-4o")
    assert told.endswith("(and so did 1 fallback)")


def test_a_model_outside_the_list_is_refused(setup: Setup) -> None:
    async def work(models: Models) -> None:
        with pytest.raises(InvalidInput, match="model openai/gpt-5 is not in the allowed list"):
            models.resolve("openai/gpt-5")
        assert models.resolve("openai/gpt-5", any_model=True).name == "gpt-5"

    setup.run(work)


def test_a_missing_key_names_provider_and_variable(setup: Setup) -> None:
    async def work() -> None:
        config = Config(models=("groq/llama-3.3-70b-versatile", "offline/assistant"))
        models = Models(lambda: config, dict, Registry.load())
        with pytest.raises(InvalidInput, match=r"groq.*GROQ_API_KEY"):
            models.resolve()

    asyncio.run(work())


def test_a_missing_package_names_the_command(setup: Setup) -> None:
    pytest.importorskip("pydantic_ai")
    try:
        import google.genai  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("the extra is installed")

    async def work() -> None:
        config = Config(models=("gemini/gemini-2.5-pro",))
        models = Models(lambda: config, lambda: {"GEMINI_API_KEY": "x"}, Registry.load())
        with pytest.raises(InvalidInput, match=r"pip install 'starpod\[google\]'"):
            models.resolve()
        await models.aclose()

    asyncio.run(work())


def test_models_and_clients_are_kept_until_the_key_changes(setup: Setup) -> None:
    async def work(models: Models) -> None:
        first = models.resolve()
        assert models.resolve().model is first.model
        setup.environ["OPENAI_API_KEY"] = "sk-another"
        await ask(models.resolve())

    setup.run(work)
    assert setup.openai.requests[0].headers["authorization"] == "Bearer sk-another"


def test_vision_is_known_per_model(setup: Setup) -> None:
    async def work(models: Models) -> tuple[bool, ...]:
        return tuple(models.supports_vision(spec) for spec in (None, "openai/o3", "openai/gpt-99", "my-llm/big"))

    assert setup.run(work) == (True, False, True, False)


@pytest.mark.parametrize(
    ("provider", "given", "wanted"),
    [
        ("anthropic", "https://a.example/v1/messages", "https://a.example"),
        ("anthropic", "https://a.example/", "https://a.example"),
        ("openai", "https://o.example/v1/chat/completions", "https://o.example/v1"),
        ("ollama", "http://box:11434", "http://box:11434/v1"),
        ("ollama", "http://box:11434/v1/", "http://box:11434/v1"),
        ("my-llm", "http://box:1/api", "http://box:1/api"),
        ("openai", None, None),
    ],
)
def test_full_endpoint_urls_are_understood(provider: str, given: str | None, wanted: str | None) -> None:
    assert normalised_base_url(provider, given) == wanted


@pytest.mark.parametrize("provider", SERVERS)
@pytest.mark.parametrize("when", ["before the first token", "mid-text"])
def test_cancelling_closes_the_providers_connection(setup: Setup, provider: str, when: str) -> None:
    spec = setup.only(provider)
    server = setup.server(provider)
    server.play(script(Hang()) if when == "before the first token" else script("text", Hang()))

    async def work(models: Models) -> float:
        said = asyncio.Event()

        async def turn() -> None:
            chosen = models.resolve(spec)
            async with model_request_stream(chosen.model, prompt("hi")) as stream:
                async for _ in stream:
                    said.set()

        task = asyncio.create_task(turn())
        if when == "mid-text":
            await said.wait()
        else:
            assert await asyncio.to_thread(server.wait_for_requests, 1)
        cancelled_at = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.requests[0].closed.wait, 5)
        closed_at = server.requests[0].closed_at
        assert closed_at is not None
        return closed_at - cancelled_at

    assert setup.run(work) < 5, "how fast is a benchmark's business; that it closes is ours"


def test_the_gate_lets_the_first_token_out_before_the_second_exists(setup: Setup) -> None:
    spec = setup.only("openai")
    gate = Gate()
    setup.openai.play(script("first", Wait(gate), "second"))

    async def work(models: Models) -> list[str]:
        pieces: list[str] = []
        async with model_request_stream(models.resolve(spec).model, prompt("hi")) as stream:
            async for event in stream:
                if event.event_kind == "part_start" and isinstance(event.part, TextPart):
                    pieces.append(event.part.content)
                    gate.open()
                elif event.event_kind == "part_delta" and event.delta.part_delta_kind == "text":
                    pieces.append(event.delta.content_delta)
        return pieces

    assert setup.run(work) == ["first", "second"]


def test_the_proxies_of_the_environment_hold_except_for_the_hosts_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    monkeypatch.setenv("no_proxy", "localhost,.inside.example")
    asked: list[str | None] = []

    mounts = proxy_mounts(lambda proxy: asked.append(proxy))  # type: ignore[arg-type, func-returns-value, return-value]

    assert asked == ["http://proxy.example:3128"]
    assert list(mounts) == ["https://", "all://localhost", "all://*.inside.example"]
