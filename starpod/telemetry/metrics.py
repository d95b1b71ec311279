"""The numbers of one gateway. What can be looked up is only when asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from starpod.telemetry.numbers import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
DATABASE = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MOST_LABELS = 500
"""Different values of labels that come from outside, as the names of models and tools do; the rest is "other"."""


class Metrics:
    """Counts what happens, on the event loop; gauges are set by whoever asks for the text."""

    def __init__(self, version: str) -> None:
        self._info = Gauge("starpod_info", "The version.", ("version",))
        self._info.set(1, version)
        self._requests = Counter(
            "starpod_http_requests", "Requests by route and status.", ("method", "route", "status")
        )
        self._request_seconds = Histogram("starpod_http_request_seconds", "Time of a request.", QUICK, ("route",))
        self._turns = Counter("starpod_turns", "Turns by how they ended.", ("state",))
        self._turn_seconds = Histogram("starpod_turn_seconds", "Time of a turn.", LONG)
        self._calls = Counter("starpod_model_calls", "Model calls that are booked.", ("model", "purpose"))
        self._call_seconds = Histogram(
            "starpod_model_call_seconds", "Time of a model's answer in a turn.", LONG, ("model",)
        )
        self._tokens = Counter("starpod_tokens", "Tokens by kind.", ("model", "kind"))
        self._cost = Counter("starpod_cost_usd", "US dollars spent.", ("model",))
        self._tools = Counter("starpod_tool_calls", "Tool calls by outcome.", ("tool", "outcome"))
        self._tool_seconds = Histogram("starpod_tool_call_seconds", "Time of a tool call.", LONG, ("tool",))
        self._database = Histogram(
            "starpod_database_seconds", "Time of a database call in its thread.", DATABASE, ("kind",)
        )
        self._database_lock = threading.Lock()
        self._delay = Histogram("starpod_event_loop_delay_seconds", "How late the gateway's pulse was.", QUICK)
        self._running = Gauge("starpod_turns_running", "Turns that run.")
        self._waiting = Gauge("starpod_turns_waiting", "Turns that wait for their session or a place.")
        self._deliveries = Gauge("starpod_outbox_deliveries", "Messages to people outside.", ("state",))
        self._sockets = Gauge("starpod_websockets", "Open WebSockets.")
        self._names: dict[str, set[str]] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.add(method, route, str(status))
        self._request_seconds.add(seconds, route)

    def turn(self, state: str, seconds: float) -> None:
        """A turn ended."""
        self._turns.add(state)
        self._turn_seconds.add(seconds)

    def model_call(self, model: str, seconds: float) -> None:
        """A model has answered, or failed to."""
        self._call_seconds.add(seconds, self._known("model", model))

    def used(self, model: str, purpose: str, tokens: dict[str, int], cost_usd: float) -> None:
        """A model call is booked; `tokens` by kind."""
        model = self._known("model", model)
        self._calls.add(model, purpose)
        for kind, count in tokens.items():
            if count > 0:
                self._tokens.add(model, kind, by=count)
        if cost_usd > 0:
            self._cost.add(model, by=cost_usd)

    def tool_call(self, tool: str, is_error: bool, seconds: float) -> None:
        """A tool call ended."""
        tool = self._known("tool", tool)
        self._tools.add(tool, "error" if is_error else "ok")
        self._tool_seconds.add(seconds, tool)

    def database(self, kind: str, seconds: float) -> None:
        """A database call ended. From any thread."""
        with self._database_lock:
            self._database.add(seconds, kind)

    def loop_delay(self, seconds: float) -> None:
        """The pulse came that late."""
        self._delay.add(seconds)

    def now(self, *, running: int, waiting: int, sockets: int, deliveries: dict[str, int]) -> None:
        """How it stands."""
        self._running.set(running)
        self._waiting.set(waiting)
        self._sockets.set(sockets)
        for state, count in deliveries.items():
            self._deliveries.set(count, state)

    def text(self) -> bytes:
        """All in the text format of Prometheus. Takes milliseconds, in any thread."""
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """What the library asks for when it writes."""
        for each in vars(self).values():
            if isinstance(each, Counter | Gauge | Histogram):
                yield each.family()

    def _known(self, kind: str, name: str) -> str:
        names = self._names.setdefault(kind, set())
        if name in names or len(names) < MOST_LABELS:
            names.add(name)
            return name
        return "other"
