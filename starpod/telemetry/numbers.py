"""Plain numbers with labels, and the families that prometheus-client writes out. That library only loads when somebody asks for them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

Labels = tuple[str, ...]


@dataclass(slots=True)
class _Numbers:
    """One number for each combination of labels."""

    name: str
    about: str
    labels: Labels = ()
    values: dict[Labels, float] = field(default_factory=dict)

    def _fill(self, family: CounterMetricFamily | GaugeMetricFamily) -> Metric:
        for labels, value in list(self.values.items()):
            family.add_metric(labels, value)
        return family


class Counter(_Numbers):
    """What only grows."""

    __slots__ = ()

    def add(self, *labels: str, by: float = 1.0) -> None:
        """It happened, or so much of it."""
        self.values[labels] = self.values.get(labels, 0.0) + by

    def family(self) -> Metric:
        """As the library takes it."""
        from prometheus_client.metrics_core import CounterMetricFamily

        return self._fill(CounterMetricFamily(self.name, self.about, labels=self.labels))


class Gauge(_Numbers):
    """What goes up and down."""

    __slots__ = ()

    def set(self, value: float, *labels: str) -> None:
        """It stands so now."""
        self.values[labels] = value

    def family(self) -> Metric:
        """As the library takes it."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        return self._fill(GaugeMetricFamily(self.name, self.about, labels=self.labels))


class Histogram:
    """How often something took how long, in seconds: a count for each bucket and what is beyond the last, and the sum."""

    def __init__(self, name: str, about: str, buckets: Sequence[float], labels: Labels = ()) -> None:
        self._name = name
        self._about = about
        self._buckets = tuple(buckets)
        self._labels = labels
        self._values: dict[Labels, tuple[list[int], list[float]]] = {}
        if not labels:
            self._of(())

    def add(self, seconds: float, *labels: str) -> None:
        """It took that long."""
        counts, total = self._values.get(labels) or self._of(labels)
        counts[bisect_left(self._buckets, seconds)] += 1
        total[0] += seconds

    def family(self) -> Metric:
        """As the library takes it."""
        from prometheus_client.metrics_core import HistogramMetricFamily

        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        ends = [*map(str, self._buckets), "+Inf"]
        for labels, (counts, total) in list(self._values.items()):
            family.add_metric(labels, list(zip(ends, accumulate(counts), strict=True)), total[0])
        return family

    def _of(self, labels: Labels) -> tuple[list[int], list[float]]:
        return self._values.setdefault(labels, ([0] * (len(self._buckets) + 1), [0.0]))
