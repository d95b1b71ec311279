"""Records of budgets. Amounts are USD; days and months begin at midnight of the configured time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from starpod.errors import StarpodError

Scope = Literal["user", "job", "total"]
Period = Literal["day", "month"]
LEVELS = (50, 80, 100)


class BudgetExceeded(StarpodError):
    """Nothing more may be spent for now; the message says which limit and until when."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What may be spent from `starts_at` to `resets_at`, by a user, a job, or (subject "") in total."""

    scope: Scope
    subject: str
    period: Period
    usd: float
    starts_at: datetime
    resets_at: datetime

    @property
    def key(self) -> tuple[str, str, str, datetime]:
        """Tells the limit apart from others, and from itself in the next period; its amount may change meanwhile."""
        return (self.scope, self.subject, self.period, self.starts_at)


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a limit is used; `reserved_usd` is set aside for calls that are under way."""

    limit: Limit
    spent_usd: float
    reserved_usd: float


@dataclass(frozen=True, slots=True)
class UserBudget:
    """A user's own limits; None = as configured for everybody."""

    daily_usd: float | None = None
    monthly_usd: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetNotice:
    """Half, four fifths or all of a limit is used. Told once for each period: to the user if it is theirs, and to admins."""

    limit: Limit
    level: int
    spent_usd: float
    text: str

    @property
    def user_id(self) -> str | None:
        """Whom it concerns beside the admins."""
        return self.limit.subject if self.limit.scope == "user" else None


@dataclass(slots=True)
class Hold:
    """Money set aside for one model call."""

    limits: tuple[Limit, ...]
    usd: float
    is_released: bool = False
