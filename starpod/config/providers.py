"""The names of the model providers, with the variable that holds each one's key and the model to start with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OFFLINE_MODEL = "offline/assistant"

PROVIDERS = (
    "anthropic",
    "bedrock",
    "vertex",
    "openai",
    "gemini",
    "groq",
    "deepseek",
    "openrouter",
    "ollama",
    "offline",
)


@dataclass(frozen=True, slots=True)
class KeyedProvider:
    """A provider that needs nothing but an API key, so that finding the key is enough to choose it."""

    name: str
    key_variable: str
    default_model: str


# In the order in which a new agent prefers them.
KEYED_PROVIDERS = (
    KeyedProvider("anthropic", "ANTHROPIC_API_KEY", "claude-haiku-4-5"),
    KeyedProvider("openai", "OPENAI_API_KEY", "gpt-4o"),
    KeyedProvider("gemini", "GEMINI_API_KEY", "gemini-2.5-pro"),
    KeyedProvider("groq", "GROQ_API_KEY", "llama-3.3-70b-versatile"),
    KeyedProvider("deepseek", "DEEPSEEK_API_KEY", "deepseek-chat"),
    KeyedProvider("openrouter", "OPENROUTER_API_KEY", "anthropic/claude-haiku-4-5"),
)


def key_variable(provider: str) -> str:
    """The environment variable for the key of `provider`, e.g. `OPENAI_API_KEY`; for a custom `my-llm` it is `MY_LLM_API_KEY`."""
    return "".join(letter if letter.isalnum() else "_" for letter in provider).upper() + "_API_KEY"


def first_model(environ: Mapping[str, str]) -> str:
    """The model for a new agent: of the first provider whose key is in `environ`, else the offline assistant."""
    for provider in KEYED_PROVIDERS:
        if environ.get(provider.key_variable, "").strip():
            return f"{provider.name}/{provider.default_model}"
    return OFFLINE_MODEL
