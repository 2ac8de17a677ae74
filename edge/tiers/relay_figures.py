"""A relay's numbers, of one worker or of several together, and what Prometheus is told of them."""

from collections.abc import Callable
from time import process_time
from typing import TYPE_CHECKING

import attrs
import trio

from edge.children.inside import resident_bytes
from edge.config.values import format_address
from edge.metrics import Metrics
from edge.registry.member import MeasuredLink
from edge.tiers.tier import Surroundings
from relay.worker import RelayWorker

if TYPE_CHECKING:
    from edge.tiers.relay_pages import RelayPages

__all__ = ["Figures", "add_relay_metrics", "figures_of", "links_of", "load_pages"]


@attrs.frozen(kw_only=True)
class Figures:
    """A relay's numbers, all counted since it started.

    Attributes:
        drops: datagrams not forwarded, by reason.
        events: claims made, proven and ended.
        traffic: datagrams and bytes.
        connections: clients on TCP.
        flows: client addresses in the table.
        transceivers: those whose link is up.
        loss: share of PINGs that were not answered, by transceiver; see `relay.hop.health`.
        round_trip: seconds until a PING is answered, by transceiver.
        links: the same by the transceiver's process, for the registry.
        is_suspected: 1 for a transceiver that is held for dead, else 0; see `relay.hop.suspicion`.
        suspected: how often one was.
        recovered: how often such a one was heard again.
        cpu_seconds: processor time of the process.
        resident_bytes: its memory; 0 where that cannot be told.
    """

    drops: dict[str, int] = attrs.field(factory=dict)
    events: dict[str, int] = attrs.field(factory=dict)
    traffic: dict[str, int] = attrs.field(factory=dict)
    connections: int = 0
    flows: int = 0
    transceivers: int = 0
    loss: dict[str, float] = attrs.field(factory=dict)
    round_trip: dict[str, float] = attrs.field(factory=dict)
    links: list[MeasuredLink] = attrs.field(factory=list)
    is_suspected: dict[str, float] = attrs.field(factory=dict)
    suspected: int = 0
    recovered: int = 0
    cpu_seconds: float = 0.0
    resident_bytes: int = 0


def figures_of(worker: RelayWorker) -> Figures:
    """Read the numbers of a relay in this process."""
    forwarder = worker.forwarder
    health = {
        format_address(address): health for address, health in forwarder.links.health(trio.current_time()).items()
    }
    return Figures(
        drops=dict(worker.drops),
        events=dict(forwarder.counts),
        traffic=dict(worker.traffic),
        connections=len(worker.connections),
        flows=forwarder.table.flow_count,
        transceivers=len(forwarder.links.up),
        loss={address: each.loss for address, each in health.items()},
        round_trip={address: each.round_trip for address, each in health.items() if each.round_trip is not None},
        links=links_of(worker),
        is_suspected={address: float(each.is_suspected) for address, each in health.items()},
        suspected=forwarder.links.watch.suspected,
        recovered=forwarder.links.watch.recovered,
        cpu_seconds=process_time(),
        resident_bytes=resident_bytes(),
    )


def links_of(worker: RelayWorker) -> list[MeasuredLink]:
    """Read what a relay in this process has measured of transceivers' workers."""
    links = worker.forwarder.links
    found = []
    for address, health in links.health(trio.current_time()).items():
        identity = links.identity_at(address)
        if identity is not None and health.pings:
            cluster, incarnation, _ = identity
            found.append(
                MeasuredLink(
                    cluster=cluster,
                    incarnation=incarnation,
                    pings=health.pings,
                    lost=round(health.loss * health.pings),
                    round_trip=None if health.round_trip is None else round(health.round_trip * 1000, 2),
                )
            )
    return found


def add_relay_metrics(metrics: Metrics, read: Callable[[], Figures]) -> None:
    """Show a relay's numbers."""
    metrics.add_counters("relay_drops", "Datagrams not forwarded, by reason.", "reason", lambda: read().drops)
    metrics.add_counters("relay_events", "Claims made, proven and ended, by event.", "event", lambda: read().events)
    metrics.add_counters(
        "relay_traffic", "Datagrams and bytes; up is towards transceivers.", "what", lambda: read().traffic
    )
    metrics.add_gauge("relay_connections", "Clients on TCP.", lambda: read().connections)
    metrics.add_gauge(
        "relay_flows", "Client addresses in the table; the fullest of several workers'.", lambda: read().flows
    )
    metrics.add_gauges(
        "relay_transceiver_loss",
        "Share of the last 60 PINGs that a transceiver did not answer within a second.",
        "transceiver",
        lambda: read().loss,
    )
    metrics.add_gauges(
        "relay_transceiver_round_trip_seconds",
        "Time until a transceiver answers a PING, smoothed.",
        "transceiver",
        lambda: read().round_trip,
    )
    metrics.add_gauges(
        "relay_transceiver_suspected",
        "1 while a transceiver is held for dead, as it answers nothing.",
        "transceiver",
        lambda: read().is_suspected,
    )
    metrics.add_counter(
        "relay_transceivers_suspected",
        "How often a transceiver was held for dead; those that were stopped are among them.",
        lambda: read().suspected,
    )
    metrics.add_counter(
        "relay_transceivers_recovered",
        "How often a transceiver that was held for dead was heard again.",
        lambda: read().recovered,
    )
    metrics.add_gauge("relay_transceivers", "Transceivers whose link is up.", lambda: read().transceivers)


def load_pages(surroundings: Surroundings, not_ready_reason: Callable[[], str]) -> "RelayPages":
    """Load what serves a relay's pages, and make it: a tenth of a second, for a thread beside the loop."""
    from edge.tiers.relay_pages import RelayPages

    surroundings.metrics.load()
    return RelayPages(surroundings, not_ready_reason)
