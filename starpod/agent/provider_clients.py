"""Makes the SDK clients and pydantic-ai models of each provider. Only its functions import the SDKs: they take a second."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starpod.agent.provider_http import ClientSettings, http_timeout
from starpod.errors import InvalidInput
from starpod.net.tls import tls_context

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

logger = logging.getLogger(__name__)

Effort = Literal["low", "medium", "high"]

# Tokens to think, for models that take a budget; the answer needs room beside them.
THINKING_BUDGET: dict[str, int] = {"low": 4096, "medium": 10240, "high": 32768}
ANSWER_ROOM = 8192

OPENAI_BASE_URLS = {
    "openai": "https://api.openai.com/v1",
    "groq": "https://api.groq.com/openai/v1",
    "deepseek": "https://api.deepseek.com",
    "openrouter": "https://openrouter.ai/api/v1",
    "ollama": "http://localhost:11434/v1",
}
# Without them the AWS libraries look in their own places: profiles, the machine's role.
AWS_CREDENTIALS = (
    ("access_key_id", "AWS_ACCESS_KEY_ID"),
    ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("session_token", "AWS_SESSION_TOKEN"),
)


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What one model is asked for with each call."""

    name: str
    max_tokens: int
    effort: Effort | None
    body: Mapping[str, Any]
    """Extra fields of the request body."""


def openai_client(settings: ClientSettings, http: httpx2.AsyncClient) -> AsyncOpenAI:
    """The SDK's client. It repeats on 408, 409, 429, 5xx and lost connections, after what `Retry-After` asks (up to two minutes)."""
    from openai import AsyncOpenAI

    return AsyncOpenAI(
        base_url=settings.base_url or OPENAI_BASE_URLS[settings.provider],
        # The SDK would take OPENAI_API_KEY from the environment and send it to a stranger.
        api_key=settings.key or "unused",
        http_client=http,
        timeout=http_timeout(settings),
        max_retries=settings.max_retries,
    )


def build_model(settings: ClientSettings, options: ModelOptions, http: httpx2.AsyncClient) -> Model:
    """The pydantic-ai model, with its own settings. InvalidInput when a package for its provider is missing."""
    match settings.provider:
        case "anthropic":
            return anthropic_model(settings, options, anthropic_client(settings, http))
        case "bedrock":
            return bedrock_model(settings, options, http)
        case "vertex":
            return vertex_model(settings, options, http)
        case "gemini":
            return gemini_model(settings, options, http)
    return openai_like_model(settings, options, http)


def common_settings(settings: ClientSettings, options: ModelOptions) -> dict[str, Any]:
    """What every provider takes."""
    found: dict[str, Any] = {
        "max_tokens": options.max_tokens,
        "request_timeout": settings.timeout_secs,
        "first_event_timeout": settings.first_event_timeout_secs,
    }
    if options.body:
        found["extra_body"] = dict(options.body)
    return found


def openai_like_model(settings: ClientSettings, options: ModelOptions, http: httpx2.AsyncClient) -> Model:
    """Chat Completions, streamed with usage; the server behind it decides on details such as the field of the token limit."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    client = openai_client(settings, http)
    found: dict[str, Any] = common_settings(settings, options)
    if options.effort:
        found["thinking"] = options.effort
    kept: ModelSettings = found  # type: ignore[assignment]
    # A stream that ends without its finish reason was cut; without this it would pass as a complete answer.
    strict = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
    match settings.provider:
        case "openai":
            from pydantic_ai.providers.openai import OpenAIProvider

            return OpenAIChatModel(
                options.name, provider=OpenAIProvider(openai_client=client), profile=strict, settings=kept
            )
        case "deepseek":
            from pydantic_ai.providers.deepseek import DeepSeekProvider

            return OpenAIChatModel(
                options.name, provider=DeepSeekProvider(openai_client=client), profile=strict, settings=kept
            )
        case "openrouter":
            from pydantic_ai.models.openrouter import OpenRouterModel
            from pydantic_ai.providers.openrouter import OpenRouterProvider

            return OpenRouterModel(
                options.name, provider=OpenRouterProvider(openai_client=client), profile=strict, settings=kept
            )
        case "ollama":
            from pydantic_ai.models.ollama import OllamaModel
            from pydantic_ai.providers.ollama import OllamaProvider

            found["extra_body"] = {"keep_alive": "5m", **options.body}
            return OllamaModel(options.name, provider=OllamaProvider(openai_client=client), settings=kept)
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    provider = OpenAICompatibleProvider(settings.provider, openai_client=client)
    return OpenAIChatModel(
        options.name, provider=provider, profile=strict if settings.provider == "groq" else None, settings=kept
    )


def anthropic_client(settings: ClientSettings, http: httpx2.AsyncClient) -> Any:
    """The SDK's client for Anthropic itself."""
    from anthropic import AsyncAnthropic

    return AsyncAnthropic(
        api_key=settings.key or "unused",
        base_url=settings.base_url or "https://api.anthropic.com",
        http_client=http,
        timeout=http_timeout(settings),
        max_retries=settings.max_retries,
    )


def anthropic_model(settings: ClientSettings, options: ModelOptions, client: Any) -> Model:
    """The Messages API, through whichever client reaches it."""
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    found = common_settings(settings, options)
    # One cache breakpoint each on the tools, the instructions and the last message.
    found |= {
        "anthropic_cache_tool_definitions": True,
        "anthropic_cache_instructions": True,
        "anthropic_cache_messages": True,
    }
    if options.effort:
        profile: Mapping[str, Any] = AnthropicProvider.model_profile(options.name) or {}
        if profile.get("anthropic_disallows_budget_thinking"):
            found["thinking"] = options.effort
        else:
            budget = THINKING_BUDGET[options.effort]
            found["anthropic_thinking"] = {"type": "enabled", "budget_tokens": budget}
            found["max_tokens"] = max(options.max_tokens, budget + ANSWER_ROOM)
    kept: ModelSettings = found  # type: ignore[assignment]
    return AnthropicModel(options.name, provider=AnthropicProvider(anthropic_client=client), settings=kept)


def bedrock_model(settings: ClientSettings, options: ModelOptions, http: httpx2.AsyncClient) -> Model:
    """Claude on Bedrock by Anthropic's SDK, whose streams really stop; other models by the Converse API."""
    cloud = dict(settings.cloud)
    try:
        import botocore.session  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise missing_package("bedrock", "bedrock") from error
    if "anthropic." in options.name:
        from anthropic.lib.bedrock import AsyncAnthropicBedrock

        client = AsyncAnthropicBedrock(
            aws_region=cloud["region"],
            aws_access_key=cloud.get("access_key_id"),
            aws_secret_key=cloud.get("secret_access_key"),
            aws_session_token=cloud.get("session_token"),
            base_url=settings.base_url,
            http_client=http,
            timeout=http_timeout(settings),
            max_retries=settings.max_retries,
        )
        return anthropic_model(settings, options, client)
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    provider = BedrockProvider(
        region_name=cloud["region"],
        aws_access_key_id=cloud.get("access_key_id"),
        aws_secret_access_key=cloud.get("secret_access_key"),
        aws_session_token=cloud.get("session_token"),
        base_url=settings.base_url,
        aws_read_timeout=settings.timeout_secs,
        aws_connect_timeout=settings.connect_timeout_secs,
    )
    return BedrockConverseModel(options.name, provider=provider, settings=_with_thinking(settings, options))


def vertex_model(settings: ClientSettings, options: ModelOptions, http: httpx2.AsyncClient) -> Model:
    """Claude on Vertex by Anthropic's SDK; other models as Gemini on Google Cloud."""
    cloud = dict(settings.cloud)
    try:
        import google.auth  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise missing_package("vertex", "google") from error
    if options.name.startswith("claude"):
        from anthropic.lib.vertex import AsyncAnthropicVertex

        client = AsyncAnthropicVertex(
            region=cloud["region"],
            project_id=cloud["project"],
            base_url=settings.base_url,
            http_client=http,
            timeout=http_timeout(settings),
            max_retries=settings.max_retries,
        )
        return anthropic_model(settings, options, client)
    try:
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google_cloud import GoogleCloudProvider
    except ImportError as error:
        raise missing_package("vertex", "google") from error
    provider = GoogleCloudProvider(
        project=cloud["project"], location=cloud["region"], base_url=settings.base_url, http_client=http
    )
    return GoogleModel(options.name, provider=provider, settings=_with_thinking(settings, options))


def gemini_model(settings: ClientSettings, options: ModelOptions, http: httpx2.AsyncClient) -> Model:
    """Gemini's own API."""
    try:
        from google.genai.types import HttpRetryOptions  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from pydantic_ai.models.google import GoogleModel
        from pydantic_ai.providers.google import GoogleProvider
    except ImportError as error:
        raise missing_package("gemini", "google") from error
    retries = HttpRetryOptions(attempts=settings.max_retries + 1)
    provider = GoogleProvider(
        api_key=settings.key or "unused", http_client=http, base_url=settings.base_url, retry_options=retries
    )
    return GoogleModel(options.name, provider=provider, settings=_with_thinking(settings, options))


def _with_thinking(settings: ClientSettings, options: ModelOptions) -> ModelSettings:
    found = common_settings(settings, options)
    if options.effort:
        found["thinking"] = options.effort
    kept: ModelSettings = found  # type: ignore[assignment]
    return kept


def missing_package(provider: str, extra: str) -> InvalidInput:
    """What to install for a provider whose SDK is not there."""
    return InvalidInput(
        f"the provider {provider} needs more packages: run pip install 'starpod[{extra}]' and start again"
    )


def normalised_base_url(provider: str, url: str | None) -> str | None:
    """The address as the SDK wants it. The config may hold the full URL of the endpoint, as providers print it."""
    if url is None:
        return None
    url = url.rstrip("/")
    match provider:
        case "anthropic":
            return url.removesuffix("/v1/messages").removesuffix("/v1")
        case "gemini":
            return url.partition("/v1beta")[0].removesuffix("/v1")
        case "bedrock" | "vertex":
            return url
    url = url.removesuffix("/chat/completions")
    has_path = "/" in url.partition("://")[2]
    return url if has_path or provider != "ollama" else f"{url}/v1"


def import_sdk(provider: str) -> None:
    """Import what `build_model` needs for the provider; missing extras are told when the model is asked for."""
    import pydantic_ai.direct
    import pydantic_ai.models.fallback

    tls_context()
    try:
        if provider in ("anthropic", "bedrock", "vertex"):
            import pydantic_ai.models.anthropic
        elif provider == "gemini":
            import pydantic_ai.models.google
        elif provider == "ollama":
            import pydantic_ai.models.ollama
        elif provider == "openrouter":
            import pydantic_ai.models.openrouter
        elif provider != "offline":
            import pydantic_ai.models.openai
            import pydantic_ai.providers.deepseek
            import pydantic_ai.providers.openai_compatible  # noqa: F401
    except ImportError:
        logger.info("the packages for the provider %s are not installed", provider)


def cloud_settings(provider: str, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Region, project and credentials for the clouds. InvalidInput when region or project is missing."""
    if provider == "bedrock":
        credentials = ((name, environ.get(variable, "").strip()) for name, variable in AWS_CREDENTIALS)
        return (
            ("region", _needed(provider, environ, "AWS_REGION", "AWS_DEFAULT_REGION")),
            *(pair for pair in credentials if pair[1]),
        )
    if provider == "vertex":
        region = environ.get("GOOGLE_CLOUD_LOCATION") or environ.get("GCP_REGION") or "global"
        return (("project", _needed(provider, environ, "GOOGLE_CLOUD_PROJECT", "GCP_PROJECT_ID")), ("region", region))
    return ()


def _needed(provider: str, environ: Mapping[str, str], *names: str) -> str:
    for name in names:
        if value := environ.get(name, "").strip():
            return value
    raise InvalidInput(f"the provider {provider} needs {names[0]}: set it in the environment of the gateway")
