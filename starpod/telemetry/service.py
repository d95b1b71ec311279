"""Measures and, when that is switched on, traces what a turn does. One for each gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from starpod.telemetry import ids
from starpod.telemetry.metrics import Metrics
from starpod.telemetry.recent import RecentLines
from starpod.version import __version__


class Tracer(Protocol):
    """Makes spans; the one that runs is the parent of those that begin in it."""

    def span(self, name: str, kind: str, attributes: dict[str, Any]) -> Any:
        """A context manager, whose value has `set(**attributes)` and `fail(kind)`."""
        ...

    def begin(self, name: str, headers: Mapping[str, str], attributes: dict[str, Any]) -> Any:
        """A request's span, whose value has `end(status)`."""
        ...

    def close(self) -> None:
        """Send what is held back. Blocks."""
        ...


@dataclass(slots=True)
class Outcome:
    """How what is measured ended; set it inside the block."""

    state: str = "completed"
    is_error: bool = False


class Telemetry:
    """`tracer` is None unless traces are wanted."""

    def __init__(self) -> None:
        self.metrics = Metrics(__version__)
        self.recent = RecentLines()
        self.tracer: Tracer | None = None

    @contextmanager
    def turn(self, turn_id: str, session_id: str) -> Iterator[Outcome]:
        """Around a turn: its id is in the logs."""
        token = ids.turn_id.set(turn_id)
        outcome, began = Outcome(), time.perf_counter()
        try:
            with self._span(
                "turn", "internal", {"starpod.turn_id": turn_id, "starpod.session_id": session_id}, outcome
            ):
                yield outcome
        finally:
            ids.turn_id.reset(token)
            self.metrics.turn(outcome.state, time.perf_counter() - began)

    @contextmanager
    def model_call(self, provider: str, model: str) -> Iterator[Outcome]:
        """Around a model's answer."""
        outcome, began = Outcome(), time.perf_counter()
        attributes = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider, "gen_ai.request.model": model}
        try:
            with self._span(f"chat {model}", "client", attributes, outcome):
                yield outcome
        finally:
            self.metrics.model_call(f"{provider}/{model}", time.perf_counter() - began)

    @contextmanager
    def tool_call(self, name: str) -> Iterator[Outcome]:
        """Around a tool call."""
        outcome, began = Outcome(), time.perf_counter()
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
        try:
            with self._span(f"execute_tool {name}", "internal", attributes, outcome):
                yield outcome
        except BaseException:
            outcome.is_error = True
            raise
        finally:
            self.metrics.tool_call(name, outcome.is_error, time.perf_counter() - began)

    @contextmanager
    def _span(self, name: str, kind: str, attributes: dict[str, Any], outcome: Outcome) -> Iterator[None]:
        if self.tracer is None:
            yield
            return
        with self.tracer.span(name, kind, attributes) as span:
            yield
            if outcome.is_error or outcome.state == "failed":
                span.fail(outcome.state)
