"""Metrics for Prometheus, read from live objects when somebody asks.

Hot paths only bump plain integers in counters of their own; nothing here runs until `/metrics` is asked for. A
process has one `Metrics`, with a registry of its own; each role adds what it has.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import attrs
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Histogram", "Metrics"]

Label = TypeVar("Label", bound=str | int)


@attrs.frozen
class Histogram:
    """How often a measured value fell where.

    Attributes:
        buckets: upper bound of each bucket, ascending, and how many values fell into it (not into lower ones too).
        total: sum of all values.
    """

    buckets: Sequence[tuple[float, int]]
    total: float


class Metrics:
    """The metrics of a process.

    Names are prefixed with `trio_voice_`; those of counters end in `_total`, as Prometheus wants.
    """

    def __init__(self) -> None:
        self._live = _LiveCollector()
        self._registry = CollectorRegistry()
        self._registry.register(self._live)
        # What the process takes and how often the garbage collector stops it; each registers itself.
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def add_counters(self, name: str, help_: str, label: str, read: Callable[[], Mapping[Label, float]]) -> None:
        """Add counters that differ in one label.

        Args:
            name: such as "relay_drops".
            help_: what is counted, for people.
            label: what the keys of the mapping are called ("reason").
            read: returns the counts by the label's value.
        """

        def collect() -> Metric:
            family = CounterMetricFamily(f"trio_voice_{name}", help_, labels=(label,))
            for value, count in list(read().items()):
                family.add_metric((str(value),), count)
            return family

        self._live.sources.append(collect)

    def add_counter(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Add one counter."""
        self._live.sources.append(lambda: CounterMetricFamily(f"trio_voice_{name}", help_, value=read()))

    def add_gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Add a value that goes up and down."""
        self._live.sources.append(lambda: GaugeMetricFamily(f"trio_voice_{name}", help_, value=read()))

    def add_gauges(self, name: str, help_: str, label: str, read: Callable[[], Mapping[Label, float]]) -> None:
        """Add values that go up and down and differ in one label; see `add_counters`."""

        def collect() -> Metric:
            family = GaugeMetricFamily(f"trio_voice_{name}", help_, labels=(label,))
            for value, amount in list(read().items()):
                family.add_metric((str(value),), amount)
            return family

        self._live.sources.append(collect)

    def add_info(self, name: str, help_: str, facts: Mapping[str, str]) -> None:
        """Add facts that do not change, as labels of a constant 1."""

        def collect() -> Metric:
            family = GaugeMetricFamily(f"trio_voice_{name}_info", help_, labels=tuple(facts))
            family.add_metric(tuple(facts.values()), 1)
            return family

        self._live.sources.append(collect)

    def add_histogram(self, name: str, help_: str, read: Callable[[], Histogram]) -> None:
        """Add a distribution."""

        def collect() -> Metric:
            histogram = read()
            cumulated, buckets = 0, []
            for bound, count in histogram.buckets:
                cumulated += count
                buckets.append((f"{bound:g}" if bound != float("inf") else "+Inf", float(cumulated)))
            if not buckets or buckets[-1][0] != "+Inf":
                buckets.append(("+Inf", float(cumulated)))
            return HistogramMetricFamily(f"trio_voice_{name}", help_, buckets=buckets, sum_value=histogram.total)

        self._live.sources.append(collect)

    def render(self) -> bytes:
        """Write everything in the text format 0.0.4 of Prometheus."""
        return generate_latest(self._registry)


@attrs.define(eq=False)
class _LiveCollector(Collector):
    """Asks each source for its present numbers."""

    sources: list[Callable[[], Metric]] = attrs.field(factory=list)

    def collect(self) -> Iterable[Metric]:
        """Return everything, as the registry wants it."""
        return [source() for source in self.sources]

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: sources come with the roles."""
        return []
