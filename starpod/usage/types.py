"""Records of usage reports. Costs are USD; `total_input_tokens` counts cached tokens too; `total_turns` counts booked calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

PERIODS = {"7d": 7, "30d": 30, "90d": 90, "all": None}
DEFAULT_PERIOD = "30d"


@dataclass(frozen=True, slots=True)
class Totals:
    """Six sums."""

    total_cost_usd: float = 0.0
    total_input_tokens: int = 0
    total_output_tokens: int = 0
    total_cache_read: int = 0
    total_cache_write: int = 0
    total_turns: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.total_cost_usd + other.total_cost_usd,
            self.total_input_tokens + other.total_input_tokens,
            self.total_output_tokens + other.total_output_tokens,
            self.total_cache_read + other.total_cache_read,
            self.total_cache_write + other.total_cache_write,
            self.total_turns + other.total_turns,
        )


@dataclass(frozen=True, slots=True)
class DayCosts:
    """One day of the asked time zone; `by_model` holds (model, USD) pairs."""

    date: str
    by_model: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class SessionCosts:
    """What one conversation cost."""

    session_id: str
    user_id: str
    title: str | None
    totals: Totals


@dataclass(frozen=True, slots=True)
class ToolCounts:
    """How often a tool was called, and how often that failed."""

    tool_name: str
    invocations: int
    errors: int


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` (None = the beginning) to before `end` (None = for ever)."""

    start: datetime | None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class CostOverview:
    """Everything about one period. `previous` is None for `all`."""

    period: str
    timezone: str
    totals: Totals
    previous: Totals | None
    by_user: tuple[tuple[str, Totals], ...]
    by_model: tuple[tuple[str, Totals], ...]
    by_day: tuple[DayCosts, ...]
    by_tool: tuple[ToolCounts, ...]
    by_session: tuple[SessionCosts, ...]
    by_job: tuple[tuple[str, Totals], ...]
