"""The figures of all workers, added up over their lives.

Prometheus takes a counter that goes down for one that started anew. The sum of several must not go down when one of
them dies; so what the dead have counted is kept.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from edge.workers.messages import Figures
from transceiver.ticker import Lateness

__all__ = ["WORKER_DIED", "Ended", "add_lateness", "lateness_of", "sum_counts"]

WORKER_DIED = "ended-worker-died"
"""Counts the calls that died with their worker, beside those that ended for other reasons."""


@attrs.define(eq=False)
class Ended:
    """What the processes that have ended in one place had counted."""

    counts: Counter[str] = attrs.field(factory=Counter)
    drops: Counter[str] = attrs.field(factory=Counter)
    moves: Counter[str] = attrs.field(factory=Counter)
    lateness: Lateness = attrs.field(factory=Lateness)
    cpu_seconds: float = 0.0

    def add(self, figures: Figures, *, lost: int) -> None:
        """Add a process that has ended.

        Args:
            figures: what it said last.
            lost: how many calls ended with it, and not by anybody's wish.
        """
        self.counts.update(figures.counts)
        if lost:
            self.counts[WORKER_DIED] += lost
        self.drops.update(figures.drops)
        self.moves.update(figures.moves)
        add_lateness(self.lateness, lateness_of(figures))
        self.cpu_seconds += figures.cpu_seconds


def lateness_of(figures: Figures) -> Lateness:
    """Write a worker's ticks as the worker itself counts them."""
    lateness = Lateness(worst=figures.worst_lateness)
    for step, count in figures.lateness.items():
        if 0 <= step < len(lateness.counts):
            lateness.counts[step] = count
    return lateness


def add_lateness(total: Lateness, more: Lateness) -> None:
    """Add ticks to others."""
    total.counts = [one + other for one, other in zip(total.counts, more.counts, strict=True)]
    total.worst = max(total.worst, more.worst)


def sum_counts(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    """Add up counts by name."""
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total
