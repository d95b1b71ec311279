"""The numbers of one gateway, in a registry of their own. What can be looked up is only when asked."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
DATABASE = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
MOST_LABELS = 500
"""Different values of labels that come from outside, as the names of models and tools do; the rest is "other"."""


class Metrics:
    """Counts what happens; gauges are set by whoever asks for the text."""

    def __init__(self, version: str) -> None:
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        Gauge("starpod_info", "The version.", ["version"], registry=registry).labels(version).set(1)
        self._requests = Counter(
            "starpod_http_requests", "Requests by route and status.", ["method", "route", "status"], registry=registry
        )
        self._request_seconds = Histogram(
            "starpod_http_request_seconds", "Time of a request.", ["route"], buckets=QUICK, registry=registry
        )
        self._turns = Counter("starpod_turns", "Turns by how they ended.", ["state"], registry=registry)
        self._turn_seconds = Histogram("starpod_turn_seconds", "Time of a turn.", buckets=LONG, registry=registry)
        self._calls = Counter(
            "starpod_model_calls", "Model calls that are booked.", ["model", "purpose"], registry=registry
        )
        self._call_seconds = Histogram(
            "starpod_model_call_seconds",
            "Time of a model's answer in a turn.",
            ["model"],
            buckets=LONG,
            registry=registry,
        )
        self._tokens = Counter("starpod_tokens", "Tokens by kind.", ["model", "kind"], registry=registry)
        self._cost = Counter("starpod_cost_usd", "US dollars spent.", ["model"], registry=registry)
        self._tools = Counter("starpod_tool_calls", "Tool calls by outcome.", ["tool", "outcome"], registry=registry)
        self._tool_seconds = Histogram(
            "starpod_tool_call_seconds", "Time of a tool call.", ["tool"], buckets=LONG, registry=registry
        )
        self._database = Histogram(
            "starpod_database_seconds", "Time of a database call in its thread.", ["kind"], buckets=DATABASE,
            registry=registry,
        )  # fmt: skip
        self._delay = Histogram(
            "starpod_event_loop_delay_seconds", "How late the gateway's pulse was.", buckets=QUICK, registry=registry
        )
        self._running = Gauge("starpod_turns_running", "Turns that run.", registry=registry)
        self._waiting = Gauge(
            "starpod_turns_waiting", "Turns that wait for their session or a place.", registry=registry
        )
        self._deliveries = Gauge(
            "starpod_outbox_deliveries", "Messages to people outside.", ["state"], registry=registry
        )
        self._sockets = Gauge("starpod_websockets", "Open WebSockets.", registry=registry)
        self._names: dict[str, set[str]] = {}
        kinds = ("read", "write")
        self._by_kind = {kind: self._database.labels(kind) for kind in kinds}
        self._by_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (method, route, status)
        known = self._by_request.get(key)
        if known is None:
            known = self._by_request[key] = (
                self._requests.labels(method, route, str(status)),
                self._request_seconds.labels(route),
            )
        known[0].inc()
        known[1].observe(seconds)

    def turn(self, state: str, seconds: float) -> None:
        """A turn ended."""
        self._turns.labels(state).inc()
        self._turn_seconds.observe(seconds)

    def model_call(self, model: str, seconds: float) -> None:
        """A model has answered, or failed to."""
        self._call_seconds.labels(self._known("model", model)).observe(seconds)

    def used(self, model: str, purpose: str, tokens: dict[str, int], cost_usd: float) -> None:
        """A model call is booked; `tokens` by kind."""
        model = self._known("model", model)
        self._calls.labels(model, purpose).inc()
        for kind, count in tokens.items():
            if count > 0:
                self._tokens.labels(model, kind).inc(count)
        if cost_usd > 0:
            self._cost.labels(model).inc(cost_usd)

    def tool_call(self, tool: str, is_error: bool, seconds: float) -> None:
        """A tool call ended."""
        tool = self._known("tool", tool)
        self._tools.labels(tool, "error" if is_error else "ok").inc()
        self._tool_seconds.labels(tool).observe(seconds)

    def database(self, kind: str, seconds: float) -> None:
        """A database call ended. From any thread."""
        self._by_kind[kind].observe(seconds)

    def loop_delay(self, seconds: float) -> None:
        """The pulse came that late."""
        self._delay.observe(seconds)

    def now(self, *, running: int, waiting: int, sockets: int, deliveries: dict[str, int]) -> None:
        """How it stands."""
        self._running.set(running)
        self._waiting.set(waiting)
        self._sockets.set(sockets)
        for state, count in deliveries.items():
            self._deliveries.labels(state).set(count)

    def text(self) -> bytes:
        """All in the text format of Prometheus. Takes milliseconds, in any thread."""
        return generate_latest(self.registry)

    def _known(self, kind: str, name: str) -> str:
        names = self._names.setdefault(kind, set())
        if name in names or len(names) < MOST_LABELS:
            names.add(name)
            return name
        return "other"
