"""Metrics in the text format of Prometheus: what `edge.metrics` has gathered, written by the client library."""

from collections.abc import Callable, Iterable, Sequence

import attrs
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.metrics import Histogram, Kind, Source

__all__ = ["Exposition"]

_FAMILIES = {Kind.COUNTER: CounterMetricFamily, Kind.GAUGE: GaugeMetricFamily}


class Exposition:
    """Writes what sources tell, and what the process takes of the machine.

    Args:
        sources: asked each time; may grow.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_LiveCollector(sources))
        # What the process takes and how often the garbage collector stops it; each registers itself.
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self) -> bytes:
        """Write everything in the text format 0.0.4 of Prometheus."""
        return generate_latest(self._registry)


@attrs.frozen(eq=False)
class _LiveCollector(Collector):
    """Asks each source for its present numbers."""

    sources: Sequence[Source]

    def collect(self) -> Iterable[Metric]:
        """Return everything, as the registry wants it."""
        return [_family_of(source) for source in self.sources]

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: sources come with the roles."""
        return []


def _family_of(source: Source) -> Metric:
    told = source.read()
    if isinstance(told, Histogram):
        return _distribution(source, told)
    make: Callable[..., CounterMetricFamily | GaugeMetricFamily] = _FAMILIES[source.kind]
    family = make(source.name, source.help, labels=source.labels)
    for values, amount in told:
        family.add_metric(values, amount)
    return family


def _distribution(source: Source, histogram: Histogram) -> Metric:
    cumulated, buckets = 0, []
    for bound, count in histogram.buckets:
        cumulated += count
        buckets.append((f"{bound:g}" if bound != float("inf") else "+Inf", float(cumulated)))
    if not buckets or buckets[-1][0] != "+Inf":
        buckets.append(("+Inf", float(cumulated)))
    return HistogramMetricFamily(source.name, source.help, buckets=buckets, sum_value=histogram.total)
