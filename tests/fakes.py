"""Stand-ins for the world outside the gateway that several tests share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Time that moves only when it is told to."""

    def __init__(self, start: datetime = datetime(2026, 3, 20, 16, 33, 19, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds

    def set_by(self, seconds: float) -> None:
        """Somebody sets the machine's clock."""
        self._now += timedelta(seconds=seconds)
