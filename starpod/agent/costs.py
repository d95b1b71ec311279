"""What a model call costs, in USD: the operator's prices first, then genai-prices, then the shipped registry. It books nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from starpod.agent.registry import FREE_PROVIDERS, ModelInfo, Registry

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo as PricedModel
    from genai_prices.types import ModelPrice

logger = logging.getLogger(__name__)

MILLION = 1_000_000
# How genai-prices calls the providers whose name here differs; Claude on Vertex and Gemini are both Google's.
PRICE_LIST_NAMES = {"gemini": "google", "vertex": "google", "bedrock": "aws"}


class Counted(Protocol):
    """The token counts of pydantic-ai's `RequestUsage` and `RunUsage`."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one or more model calls; the four counts do not overlap."""

    input_uncached: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @classmethod
    def from_usage(cls, usage: Counted) -> TokenUsage:
        """pydantic-ai's counts: its `input_tokens` is the whole prompt for every provider, Anthropic included,
        because genai-prices adds the cached ones to what Anthropic reports."""
        read, write = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        return cls(max(0, (usage.input_tokens or 0) - read - write), usage.output_tokens or 0, read, write)

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            self.input_uncached + other.input_uncached,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )

    @property
    def input_total(self) -> int:
        """The whole prompt, cached or not: what fills the context window."""
        return self.input_uncached + self.cache_read + self.cache_write


@dataclass(frozen=True, slots=True)
class Rate:
    """USD per million tokens. Above a threshold of input tokens (the whole prompt) another price holds for all tokens."""

    base: float
    tiers: tuple[tuple[int, float], ...] = ()

    def at(self, input_total: int) -> float:
        """The price for a prompt of this size."""
        return next((price for start, price in reversed(self.tiers) if input_total > start), self.base)


@dataclass(frozen=True, slots=True)
class Rates:
    """What the four kinds of tokens cost, and a flat fee a request."""

    input: Rate
    output: Rate
    cache_read: Rate
    cache_write: Rate
    request: float = 0.0

    def cost(self, usage: TokenUsage) -> float:
        """USD for one request."""
        size = usage.input_total
        tokens = (
            usage.input_uncached * self.input.at(size)
            + usage.cache_read * self.cache_read.at(size)
            + usage.cache_write * self.cache_write.at(size)
            + usage.output * self.output.at(size)
        )
        return tokens / MILLION + self.request


class Costs:
    """Prices model calls. `genai_prices.calc_price` takes 75 µs; unit prices are therefore looked up once a model."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._priced: dict[tuple[str, str], PricedModel | None] = {}
        self._rates: dict[int, tuple[ModelPrice, Rates]] = {}
        self._unknown: set[tuple[str, str]] = set()

    def use(self, registry: Registry) -> None:
        """Take other prices from now on."""
        self._registry = registry
        self._unknown.clear()

    def price(self, provider: str, model: str, usage: TokenUsage) -> float:
        """USD for one call of `model` (the one that answered). Unknown models cost 0.0, with one warning each."""
        if provider in FREE_PROVIDERS:
            return 0.0
        known = self._registry.info(provider, model)
        if known.from_operator:
            return registry_rates(known).cost(usage)
        rates = self._listed(provider, model)
        if rates is None and known.id is not None:
            rates = registry_rates(known)
        if rates is not None:
            return rates.cost(usage)
        if (provider, model) not in self._unknown:
            self._unknown.add((provider, model))
            logger.warning("no price is known for %s/%s, it is booked as free: add it to models.toml", provider, model)
        return 0.0

    def _listed(self, provider: str, model: str) -> Rates | None:
        """What genai-prices lists for the model now; its prices may depend on date and hour."""
        key = (provider, model)
        if key not in self._priced:
            self._priced[key] = find_listed(provider, model)
        found = self._priced[key]
        if found is None:
            return None
        current = found.get_prices(datetime.now(UTC))
        cached = self._rates.get(id(current))
        if cached is None:
            # The price object is kept beside its rates, so that its id stays its own.
            cached = self._rates[id(current)] = (current, listed_rates(current))
        return cached[1]


def find_listed(provider: str, model: str) -> PricedModel | None:
    """The entry of genai-prices for the model, None when it has none."""
    from genai_prices.data_snapshot import get_snapshot  # 170 ms, so not before the port is open

    try:
        return get_snapshot().find_provider_model(model, None, PRICE_LIST_NAMES.get(provider, provider), None)[1]
    except LookupError:
        return None


def listed_rates(price: ModelPrice) -> Rates:
    """The unit prices of a genai-prices entry. A kind of cached token without a price of its own costs what fresh input does."""
    fresh = _rate(price.input_mtok)
    request = price.requests_kcount
    return Rates(
        input=fresh,
        output=_rate(price.output_mtok),
        cache_read=fresh if price.cache_read_mtok is None else _rate(price.cache_read_mtok),
        cache_write=fresh if price.cache_write_mtok is None else _rate(price.cache_write_mtok),
        request=0.0 if request is None else _rate(request).base / 1000,
    )


def registry_rates(info: ModelInfo) -> Rates:
    """The unit prices of a registry entry; a missing multiplier counts as 1."""
    read = 1.0 if info.cache_read_multiplier is None else info.cache_read_multiplier
    write = 1.0 if info.cache_creation_multiplier is None else info.cache_creation_multiplier
    return Rates(Rate(info.input), Rate(info.output), Rate(info.input * read), Rate(info.input * write))


def _rate(price: Any) -> Rate:
    """A Decimal, a `TieredPrices` or None as a rate."""
    if price is None:
        return Rate(0.0)
    tiers = getattr(price, "tiers", None)
    if tiers is None:
        return Rate(float(price))
    return Rate(float(price.base), tuple((tier.start, float(tier.price)) for tier in tiers))


def estimate_tokens(text: str) -> int:
    """A cheap guess: a quarter token a character, one for each wide (Chinese, Japanese, Korean, emoji) character."""
    if text.isascii():
        return (len(text) + 3) // 4
    # UTF-8 needs two bytes more than one for each wide character, which is a count that runs at memory speed.
    wide = (len(text.encode("utf-8", "surrogatepass")) - len(text)) // 2
    return max(1, wide + (len(text) - min(wide, len(text)) + 3) // 4)
