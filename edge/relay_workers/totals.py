"""The figures of all workers, added up over their lives.

Prometheus takes a counter that goes down for one that started anew. The sum of several must not go down when one of
them dies; so what the dead have counted is kept.
"""

from collections import Counter
from collections.abc import Iterable

from edge.registry.links import pooled
from edge.registry.member import MeasuredLink
from edge.relay_workers.messages import Figures

__all__ = ["add_up", "without_what_was"]


def add_up(figures: Iterable[Figures]) -> Figures:
    """Add several workers' numbers; of what they see of transceivers, and of flows, take the most.

    A flow is known to all workers, so that its client can turn to any, and is no more flows for that.
    """
    loss: dict[str, float] = {}
    round_trip: dict[str, float] = {}
    is_suspected: dict[str, float] = {}
    drops: Counter[str] = Counter()
    events: Counter[str] = Counter()
    traffic: Counter[str] = Counter()
    links: list[MeasuredLink] = []
    connections = flows = transceivers = suspected = recovered = memory = 0
    cpu_seconds = 0.0
    for each in figures:
        drops.update(each.drops)
        events.update(each.events)
        traffic.update(each.traffic)
        links += each.links
        connections += each.connections
        flows = max(flows, each.flows)
        transceivers = max(transceivers, each.transceivers)
        for most, seen in (
            (loss, each.loss),
            (round_trip, each.round_trip),
            (is_suspected, each.is_suspected),
        ):
            most.update({name: max(value, most.get(name, 0.0)) for name, value in seen.items()})
        suspected += each.suspected
        recovered += each.recovered
        cpu_seconds += each.cpu_seconds
        memory += each.resident_bytes
    return Figures(
        drops=dict(drops),
        events=dict(events),
        traffic=dict(traffic),
        connections=connections,
        flows=flows,
        transceivers=transceivers,
        loss=loss,
        round_trip=round_trip,
        links=list(pooled(links)),
        is_suspected=is_suspected,
        suspected=suspected,
        recovered=recovered,
        cpu_seconds=cpu_seconds,
        resident_bytes=memory,
    )


def without_what_was(figures: Figures) -> Figures:
    """Keep of one who has ended what was counted, and not what there was."""
    return Figures(
        drops=figures.drops,
        events=figures.events,
        traffic=figures.traffic,
        suspected=figures.suspected,
        recovered=figures.recovered,
        cpu_seconds=figures.cpu_seconds,
    )
