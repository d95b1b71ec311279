"""Runs the gateway without its metrics: `python -m tests.bench.unmetered --dir ...`. What the case `metrics` compares with."""

from __future__ import annotations

import sys

from starpod.server import main
from starpod.telemetry import service
from starpod.telemetry.metrics import Metrics


class Silent(Metrics):
    """Hears of everything and counts nothing."""

    def request(self, method: str, route: str, status: int, seconds: float) -> None: ...

    def turn(self, state: str, seconds: float) -> None: ...

    def model_call(self, model: str, seconds: float) -> None: ...

    def used(self, model: str, purpose: str, tokens: dict[str, int], cost_usd: float) -> None: ...

    def tool_call(self, tool: str, is_error: bool, seconds: float) -> None: ...

    def database(self, kind: str, seconds: float) -> None: ...

    def loop_delay(self, seconds: float) -> None: ...


if __name__ == "__main__":
    service.Metrics = Silent  # type: ignore[misc]
    sys.exit(main(sys.argv[1:]))
