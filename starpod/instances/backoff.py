"""When to start something again that ended by itself. Pure arithmetic on seconds of a monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S = 0.5
LONGEST_S = 60.0
STEADY_S = 300.0


@dataclass(slots=True)
class Backoff:
    """At once, then after 0.5 s, 1 s, 2 s and so on; given up after `limit` times in a row. A life of five minutes starts it anew."""

    limit: int
    count: int = 0
    due: float = 0.0

    def died(self, now: float, *, lived_s: float) -> None:
        """Note an end at `now` after a life of `lived_s`."""
        if lived_s >= STEADY_S:
            self.count = 0
        self.due = now + (min(LONGEST_S, FIRST_S * 2 ** (self.count - 1)) if self.count else 0.0)
        self.count += 1

    @property
    def reason(self) -> str | None:
        """Why it is not tried again; None while it is."""
        return f"it ended {self.count} times in a row; see its log, then start it" if self.count > self.limit else None

    def is_due(self, now: float) -> bool:
        """Whether to start it now."""
        return self.count <= self.limit and now >= self.due
