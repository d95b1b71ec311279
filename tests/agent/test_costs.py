"""Prices of model calls, checked against genai-prices itself and against the contract's formula."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.usage import RequestUsage

from starpod.agent.costs import Costs, TokenUsage, estimate_tokens
from starpod.agent.registry import Registry

LISTED = [
    ("anthropic", "anthropic", "claude-haiku-4-5"),
    ("anthropic", "anthropic", "claude-sonnet-4-5"),
    ("openai", "openai", "gpt-4o"),
    ("openai", "openai", "gpt-5.4"),
    ("gemini", "google", "gemini-2.5-pro"),
    ("groq", "groq", "llama-3.3-70b-versatile"),
    ("deepseek", "deepseek", "deepseek-chat"),
    ("bedrock", "aws", "us.anthropic.claude-sonnet-4-6"),
    ("vertex", "google", "claude-sonnet-4-6"),
]
COUNTS = st.integers(0, 500_000)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(LISTED), COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_price_is_the_one_of_genai_prices(
    model: tuple[str, str, str], fresh: int, output: int, read: int, write: int
) -> None:
    provider, listed, name = model
    usage = Usage(
        input_tokens=fresh + read + write, output_tokens=output, cache_read_tokens=read, cache_write_tokens=write
    )
    expected = float(calc_price(usage, name, provider_id=listed).total_price)

    assert Costs(Registry.load()).price(provider, name, TokenUsage(fresh, output, read, write)) == pytest.approx(
        expected, abs=1e-9
    )


def test_a_tier_changes_the_price_of_all_tokens() -> None:
    costs = Costs(Registry.load())

    below = costs.price("gemini", "gemini-2.5-pro", TokenUsage(200_000, 0))
    above = costs.price("gemini", "gemini-2.5-pro", TokenUsage(200_001, 0))

    assert above > below * 1.9


def test_the_operators_price_wins_over_every_list(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        '[openai]\ncache_read_multiplier = 0.5\n[openai.models."gpt-4o"]\ninput = 10\noutput = 20\n', encoding="utf-8"
    )
    costs = Costs(Registry.load(path))

    assert costs.price("openai", "gpt-4o", TokenUsage(1_000_000, 100_000, 200_000, 0)) == pytest.approx(
        10 + 2 + 0.2 * 10 * 0.5
    )


def test_a_model_missing_in_the_list_is_priced_from_the_shipped_registry() -> None:
    price = Costs(Registry.load()).price(
        "openrouter", "anthropic/claude-haiku-4-5", TokenUsage(1_000_000, 1_000_000, 1_000_000)
    )

    assert price == pytest.approx(1 + 5 + 1), "without a multiplier a cached token costs what a fresh one does"


@pytest.mark.parametrize(("provider", "model"), [("ollama", "qwen3.5:9b"), ("offline", "assistant")])
def test_local_models_are_free_without_a_warning(provider: str, model: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Costs(Registry.load()).price(provider, model, TokenUsage(1000, 1000)) == 0.0
    assert not caplog.records


def test_an_unknown_model_is_free_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    costs = Costs(Registry.load())

    with caplog.at_level(logging.WARNING):
        prices = [costs.price("my-llm", "big", TokenUsage(1000, 1000)) for _ in range(3)]

    assert prices == [0.0, 0.0, 0.0]
    assert len(caplog.records) == 1
    assert "my-llm/big" in caplog.text


def test_cached_tokens_are_taken_out_of_pydantic_ais_input_tokens() -> None:
    usage = RequestUsage(input_tokens=100, output_tokens=7, cache_read_tokens=60, cache_write_tokens=30)

    assert TokenUsage.from_usage(usage) == TokenUsage(10, 7, 60, 30)
    assert TokenUsage.from_usage(usage).input_total == 100
    assert TokenUsage.from_usage(RequestUsage(input_tokens=5, cache_read_tokens=9)).input_uncached == 0


def test_usages_add_up() -> None:
    assert TokenUsage(1, 2, 3, 4) + TokenUsage(10, 20, 30, 40) == TokenUsage(11, 22, 33, 44)


def test_the_token_estimate_knows_wide_characters() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens("four") == 1
    assert estimate_tokens("x" * 4000) == 1000
    assert 90 <= estimate_tokens("\u6f22" * 100) <= 110
    assert 25 <= estimate_tokens("\u00fc" * 100) <= 80
