"""The model registry: shipped data, the operator's file, and looking up names."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from starpod.agent.registry import Registry


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_ids_are_the_real_ones_with_their_dots() -> None:
    models = Registry.load().models()

    assert "gemini-2.5-pro" in models["gemini"]
    assert "llama-3.3-70b-versatile" in models["groq"]
    assert models["ollama"] == []
    assert models["anthropic"] == sorted(models["anthropic"])


@pytest.mark.parametrize("provider", [name for name in Registry.load().models() if name != "ollama"])
def test_every_default_model_is_registered(provider: str) -> None:
    registry = Registry.load()

    assert registry.default_model(provider) in registry.models()[provider]


def test_a_dated_name_finds_its_model_and_the_longest_id_wins() -> None:
    registry = Registry.load()

    assert registry.info("anthropic", "claude-haiku-4-5-20251001").id == "claude-haiku-4-5"
    assert registry.info("openai", "gpt-4o-mini-2024-07-18").id == "gpt-4o-mini"
    assert registry.info("groq", "gpt-oss-20b").id == "openai/gpt-oss-20b"


def test_an_unknown_model_has_the_multipliers_of_its_provider_and_no_price() -> None:
    info = Registry.load().info("anthropic", "mystery")

    assert (info.id, info.input, info.output) == (None, 0.0, 0.0)
    assert (info.cache_read_multiplier, info.cache_creation_multiplier) == (0.1, 1.25)


def test_the_operators_file_replaces_models_whole_and_provider_fields_one_by_one(tmp_path: Path) -> None:
    path = write(
        tmp_path / "models.toml",
        """
        [openai]
        default_model = "gpt-4o-mini"
        [openai.models."gpt-4o"]
        input = 1.0
        output = 2.0
        [my-llm.models.big]
        input = 0.5
        output = 0.7
        context_window = 9000
        supports_vision = true
        cache_read_multiplier = 0.3
        """,
    )
    registry = Registry.load(path)

    changed = registry.info("openai", "gpt-4o")
    assert (changed.input, changed.output, changed.context_window, changed.supports_vision) == (1.0, 2.0, None, False)
    assert changed.cache_read_multiplier == 0.1
    assert registry.info("openai", "gpt-4o-mini").input == 0.15
    assert registry.default_model("openai") == "gpt-4o-mini"
    assert registry.api_key_env("openai") == "OPENAI_API_KEY"
    own = registry.info("my-llm", "big")
    assert (own.context_window, own.supports_vision, own.supports_tool_use, own.cache_read_multiplier) == (
        9000,
        True,
        True,
        0.3,
    )


@pytest.mark.parametrize(
    "text",
    [
        "[openai",
        "openai = 3",
        '[openai.models.x]\ninput = "cheap"\noutput = 1',
        "[openai.models.x]\ninput = 1",
        "[a]\nx = '\x00'",
    ],
)
def test_an_unusable_file_is_a_warning_and_the_defaults_stay(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        registry = Registry.load(write(tmp_path / "models.toml", text))

    assert registry.models() == Registry.load().models()
    assert len(caplog.records) == 1
    assert "models.toml" in caplog.text


def test_a_missing_file_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Registry.load(tmp_path / "models.toml").models() == Registry.load().models()
    assert not caplog.records
