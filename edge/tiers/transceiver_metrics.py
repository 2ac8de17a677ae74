"""The metrics of a transceiver, be it one worker or several."""

from collections.abc import Mapping
from typing import Protocol

from edge.metrics import Histogram, Metrics
from transceiver.ticker import Lateness

__all__ = ["Measured", "add_transceiver_metrics"]


class Measured(Protocol):
    """What is measured: a `transceiver.worker.Worker`, or all workers of a transceiver together."""

    @property
    def counts(self) -> Mapping[str, int]:
        """What became of offers and calls, by event."""

    @property
    def lateness(self) -> Lateness:
        """How late ticks came."""

    def all_drops(self) -> Mapping[str, int]:
        """Count what was dropped, by layer and reason."""

    def handover_counts(self) -> Mapping[str, int]:
        """Count checkpoints, take-overs and moves of calls, by what became of them."""

    def status(self) -> Mapping[str, object]:
        """Tell the state; see `Calls.status`."""


def add_transceiver_metrics(metrics: Metrics, measured: Measured) -> None:
    """Show a transceiver's numbers."""
    metrics.add_counters(
        "transceiver_events", "What became of offers and calls, by event.", "event", lambda: measured.counts
    )
    metrics.add_counters(
        "transceiver_drops", "Datagrams that were dropped, by layer and reason.", "reason", measured.all_drops
    )
    metrics.add_counters(
        "transceiver_moves",
        "Checkpoints, take-overs and moves of calls, by what became of them.",
        "event",
        measured.handover_counts,
    )
    metrics.add_gauge("transceiver_calls", "Calls that are going on.", lambda: _number(measured, "calls"))
    metrics.add_gauge(
        "transceiver_max_calls", "Calls that are taken at a time.", lambda: _number(measured, "max_calls")
    )
    metrics.add_gauge("transceiver_relays", "Relays whose link is up.", lambda: _number(measured, "relays"))
    metrics.add_histogram(
        "transceiver_tick_lateness_seconds", "How late ticks came.", lambda: _histogram(measured.lateness)
    )


def _number(measured: Measured, name: str) -> float:
    value = measured.status()[name]
    return float(value) if isinstance(value, int | float) else 0.0


_LATENESS_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, float("inf"))


def _histogram(lateness: Lateness) -> Histogram:
    """Put the worker's quarter milliseconds together to fewer buckets; the sum is that of upper bounds."""
    steps = [((index + 1) / 4000, count) for index, count in enumerate(lateness.counts) if count]
    buckets, lower = [], 0.0
    for bound in _LATENESS_BOUNDS:
        buckets.append((bound, sum(count for upper, count in steps if lower < upper <= bound)))
        lower = bound
    return Histogram(buckets, sum(upper * count for upper, count in steps))
