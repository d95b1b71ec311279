"""The models that the gateway knows without being told: prices in USD per million tokens, context windows, abilities. Only data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """One model as shipped."""

    input: float
    output: float
    context_window: int
    supports_vision: bool


@dataclass(frozen=True, slots=True)
class ShippedProvider:
    """One provider as shipped; the multipliers say what a cached input token costs, relative to a fresh one."""

    default_model: str
    api_key_env: str | None
    cache_read_multiplier: float | None
    cache_creation_multiplier: float | None
    models: dict[str, ShippedModel]


def _seeing(input_price: float, output_price: float, context_window: int) -> ShippedModel:
    return ShippedModel(input_price, output_price, context_window, supports_vision=True)


def _text(input_price: float, output_price: float, context_window: int) -> ShippedModel:
    return ShippedModel(input_price, output_price, context_window, supports_vision=False)


_CLAUDE_OPUS = _seeing(5, 25, 1_000_000)
_CLAUDE_SONNET = _seeing(3, 15, 1_000_000)
_CLAUDE_HAIKU = _seeing(1, 5, 200_000)
_GEMINI_CONTEXT = 1_048_576
_GPT_41_CONTEXT = 1_047_576
_GROQ_CONTEXT = 131_072

SHIPPED: dict[str, ShippedProvider] = {
    "anthropic": ShippedProvider(
        default_model="claude-haiku-4-5",
        api_key_env="ANTHROPIC_API_KEY",
        cache_read_multiplier=0.1,
        cache_creation_multiplier=1.25,
        models={
            "claude-opus-4-6": _CLAUDE_OPUS,
            "claude-sonnet-4-6": _CLAUDE_SONNET,
            "claude-sonnet-4-5": _seeing(3, 15, 200_000),
            "claude-haiku-4-5": _CLAUDE_HAIKU,
        },
    ),
    "bedrock": ShippedProvider(
        default_model="us.anthropic.claude-sonnet-4-6",
        api_key_env=None,
        cache_read_multiplier=0.1,
        cache_creation_multiplier=1.25,
        models={
            f"{region}.anthropic.{name}": model
            for region in ("us", "eu")
            for name, model in {
                "claude-sonnet-4-6": _CLAUDE_SONNET,
                "claude-opus-4-6-v1": _CLAUDE_OPUS,
                "claude-haiku-4-5-20251001-v1:0": _CLAUDE_HAIKU,
            }.items()
        },
    ),
    "vertex": ShippedProvider(
        default_model="claude-sonnet-4-6",
        api_key_env=None,
        cache_read_multiplier=0.1,
        cache_creation_multiplier=1.25,
        models={
            "claude-sonnet-4-6": _CLAUDE_SONNET,
            "claude-opus-4-6": _CLAUDE_OPUS,
            "claude-haiku-4-5@20251001": _CLAUDE_HAIKU,
        },
    ),
    "openai": ShippedProvider(
        default_model="gpt-4o",
        api_key_env="OPENAI_API_KEY",
        cache_read_multiplier=0.1,
        cache_creation_multiplier=1.0,
        models={
            "gpt-5.4": _seeing(2.5, 15, 1_100_000),
            "gpt-5.4-mini": _seeing(0.75, 4.5, 1_100_000),
            "gpt-5.4-nano": _text(0.2, 1.25, 1_100_000),
            "gpt-5.4-pro": _seeing(30, 180, 1_100_000),
            "gpt-5.3-chat-latest": _seeing(1.75, 14, 1_100_000),
            "gpt-5.3-codex": _text(1.75, 14, 1_100_000),
            "gpt-5": _seeing(0.625, 5, 400_000),
            "gpt-5.2": _seeing(0.875, 7, 400_000),
            "gpt-5-mini": _text(0.25, 2, 400_000),
            "gpt-5-nano": _text(0.05, 0.4, 400_000),
            "gpt-4.1": _text(2, 8, _GPT_41_CONTEXT),
            "gpt-4.1-mini": _text(0.2, 0.8, _GPT_41_CONTEXT),
            "gpt-4.1-nano": _text(0.05, 0.2, _GPT_41_CONTEXT),
            "gpt-4o": _seeing(2.5, 10, 128_000),
            "gpt-4o-mini": _seeing(0.15, 0.6, 128_000),
            "o3": _text(2, 8, 200_000),
            "o4-mini": _seeing(1.1, 4.4, 200_000),
            "o1": _text(15, 60, 200_000),
            "o1-mini": _text(0.55, 2.2, 128_000),
        },
    ),
    "gemini": ShippedProvider(
        default_model="gemini-2.5-pro",
        api_key_env="GEMINI_API_KEY",
        cache_read_multiplier=0.1,
        cache_creation_multiplier=1.0,
        models={
            "gemini-3.1-pro-preview": _seeing(2, 12, _GEMINI_CONTEXT),
            "gemini-3-flash-preview": _seeing(0.5, 3, _GEMINI_CONTEXT),
            "gemini-3.1-flash-lite-preview": _seeing(0.25, 1.5, _GEMINI_CONTEXT),
            "gemini-2.5-pro": _seeing(1.25, 10, _GEMINI_CONTEXT),
            "gemini-2.5-flash": _seeing(0.3, 2.5, _GEMINI_CONTEXT),
            "gemini-2.5-flash-lite": _seeing(0.1, 0.4, _GEMINI_CONTEXT),
            "gemini-2.0-flash": _seeing(0.1, 0.4, _GEMINI_CONTEXT),
        },
    ),
    "groq": ShippedProvider(
        default_model="llama-3.3-70b-versatile",
        api_key_env="GROQ_API_KEY",
        cache_read_multiplier=None,
        cache_creation_multiplier=None,
        models={
            "llama-3.3-70b-versatile": _text(0.59, 0.79, _GROQ_CONTEXT),
            "llama-3.1-8b-instant": _text(0.05, 0.08, _GROQ_CONTEXT),
            "openai/gpt-oss-120b": _text(0.039, 0.1, _GROQ_CONTEXT),
            "openai/gpt-oss-20b": _text(0.03, 0.1, _GROQ_CONTEXT),
        },
    ),
    "deepseek": ShippedProvider(
        default_model="deepseek-chat",
        api_key_env="DEEPSEEK_API_KEY",
        cache_read_multiplier=0.1,
        cache_creation_multiplier=1.0,
        models={"deepseek-chat": _text(0.28, 0.42, 65_536), "deepseek-reasoner": _text(0.28, 0.42, 65_536)},
    ),
    "openrouter": ShippedProvider(
        default_model="anthropic/claude-haiku-4-5",
        api_key_env="OPENROUTER_API_KEY",
        cache_read_multiplier=None,
        cache_creation_multiplier=None,
        models={
            "anthropic/claude-haiku-4-5": _text(1, 5, 200_000),
            "anthropic/claude-sonnet-4-6": _text(3, 15, 1_000_000),
            "openai/gpt-4o": _text(2.5, 10, 128_000),
            "google/gemini-2.5-pro": _text(1.25, 10, 1_048_576),
            "meta-llama/llama-3.3-70b-instruct": _text(0.3, 0.3, 128_000),
        },
    ),
    # Ollama's models are asked for while running; they cost nothing.
    "ollama": ShippedProvider("qwen3.5:9b", None, None, None, models={}),
}
