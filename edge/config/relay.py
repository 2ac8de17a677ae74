"""The relay tier: its keys, and their rules."""

from collections.abc import Iterator

import attrs

from edge.config.problems import Problem
from edge.config.rules import (
    MAX_WORKERS,
    PROTOCOLS,
    at_least,
    cluster_number,
    ingress_id,
    is_an_ip,
    more_than_zero,
    one_of,
    public,
    reachable,
    worker_count,
)
from edge.config.values import format_address, is_ip
from relay.tcp.options import TcpOptions
from wire.core import Address

__all__ = ["ClusterRelay", "RelayConfig", "RelayIngress", "check_relay"]


@attrs.frozen(kw_only=True)
class RelayIngress:
    """A public address of a relay; in short form "ID=IP:PORT", "ID=tcp:IP:PORT" or "ID=IP:PORT/BIND_IP:BIND_PORT".

    Attributes:
        id: number of the ingress, 1 to 65535, unique in the fleet.
        advertise: IP address and port that clients reach.
        bind: IP address and port to bind; left out, the port of `advertise` on every address of the machine. With TCP
            and all roles in one process it may be that of signal.listen: the first byte of a connection tells whose it
            is.
        protocol: "udp", or "tcp" for clients whose network blocks UDP; the usual port for these is 443.
    """

    id: int
    advertise: Address
    bind: Address
    protocol: str = "udp"


@attrs.frozen(kw_only=True)
class ClusterRelay:
    """A relay of another cluster; in short form "CLUSTER=HOST:PORT".

    Attributes:
        cluster: the cluster's number, 0 to 65535, as its transceivers are configured with.
        hop: address ("HOST:PORT") of the relay's hop socket; a host may be a name, resolved at start and at every
            reload. Of a relay with several workers each is an entry of its own, on consecutive ports.
    """

    cluster: int
    hop: Address


@attrs.frozen(kw_only=True)
class RelayConfig:
    """The relay tier: owns the public ports of the media and forwards to transceivers.

    Attributes:
        hop: IP address and UDP port to bind for the traffic with transceivers; never the public one.
        ingresses: public addresses of this relay, each with a socket of its own.
        transceivers: hop addresses ("HOST:PORT") of the transceivers, one each however many workers they have; a host
            may be a name, resolved at start and at every reload.
        cluster_relays: relays of other clusters, to which calls of these clusters are forwarded; several of a cluster
            stand in for each other. A relay that has some is a global one.
        cluster: number of the cluster that this relay serves for global relays: it forwards what they send to its own
            transceivers, and needs no public address then. Left out, it takes nothing from other relays.
        hop_sealed: encrypt clients' datagrams on their way to and from transceivers and relays of other clusters,
            headers included; for a hop that leaves the cluster. It costs CPU for each packet. True at either end is
            enough.
        http: IP address and TCP port of /healthz, /readyz and /metrics; left out, there is none.
        workers: processes that share the clients, one for each core that the relay may use; with more than one, a
            worker that dies is replaced at once. They bind consecutive UDP ports, counting up from that of `hop`.
        reload_socket: path of a Unix socket by which `trio-voice reload` finds the running relay, to replace it without
            a lost packet; left out, there is none.
        max_flows: how many client addresses each worker remembers; new ones are refused when the table is full.
        max_call: seconds after which a call's credentials are refused; not less than the transceivers' `max_call`.
        tcp: what clients over TCP may take of each worker.
    """

    hop: Address = ("0.0.0.0", 7000)  # noqa: S104 - a relay is reached from other hosts, and the hop is authenticated
    ingresses: tuple[RelayIngress, ...] = ()
    transceivers: tuple[Address, ...] = ()
    cluster_relays: tuple[ClusterRelay, ...] = ()
    cluster: int | None = None
    hop_sealed: bool = False
    http: Address | None = None
    workers: int = 1
    reload_socket: str | None = None
    max_flows: int = 100_000
    max_call: float = 7200.0
    tcp: TcpOptions = attrs.field(factory=TcpOptions)


def check_relay(relay: RelayConfig, *, needs_transceivers: bool) -> Iterator[Problem]:
    """Find what is wrong with the tier's keys."""
    yield from is_an_ip("relay.hop", relay.hop)
    if relay.http:
        yield from is_an_ip("relay.http", relay.http)
    if not relay.ingresses and relay.cluster is None:
        right = 'List the public addresses of this relay, such as ["1=203.0.113.5:3478"].'
        yield Problem("relay.ingresses", "there is none", right)
    host, port = relay.hop
    hops = [(host, port + number) for number in range(max(1, min(relay.workers, MAX_WORKERS)))]
    bound = {("udp", hop): "relay.hop" for hop in hops}
    if relay.http:
        bound["tcp", relay.http] = "relay.http"
    for index, ingress in enumerate(relay.ingresses):
        key = f"relay.ingresses[{index}]"
        yield from ingress_id(key, ingress.id, [item.id for item in relay.ingresses[:index]])
        yield from public("relay", key, ingress.advertise)
        yield from one_of(f"{key}.protocol", ingress.protocol, PROTOCOLS)
        yield from is_an_ip(f"{key}.bind", ingress.bind)
        if is_ip(ingress.advertise[0]) and (":" in ingress.advertise[0]) != (":" in ingress.bind[0]):
            right = f"It must be of the same family as {key}.advertise, {format_address(ingress.advertise)}."
            yield Problem(f"{key}.bind", f"found {format_address(ingress.bind)}", right)
        binding = ingress.protocol, ingress.bind
        if ingress.bind[1] and binding in bound:
            found = f"{format_address(ingress.bind)} is taken by {bound[binding]}"
            right = "Each needs an address of its own; set `bind` to the one that clients' datagrams arrive at."
            yield Problem(f"{key}.bind", found, right)
        bound.setdefault(binding, f"{key}.bind")
    yield from _check_clusters(relay)
    if needs_transceivers and not relay.transceivers and not relay.cluster_relays:
        right = 'List the hop addresses of the transceivers, such as ["10.0.0.3:7001"], or set store.url.'
        yield Problem("relay.transceivers", "there is none", right)
    for index, address in enumerate(relay.transceivers):
        yield from reachable(f"relay.transceivers[{index}]", address, "transceiver")
    yield from worker_count("relay", relay.workers, relay.hop[1])
    yield from at_least("relay.max_flows", relay.max_flows, 1)
    yield from more_than_zero("relay.max_call", relay.max_call)


def _check_clusters(relay: RelayConfig) -> Iterator[Problem]:
    yield from _check_tcp(relay.tcp)
    if relay.cluster is not None:
        yield from cluster_number("relay.cluster", relay.cluster)
    for index, each in enumerate(relay.cluster_relays):
        yield from cluster_number(f"relay.cluster_relays[{index}].cluster", each.cluster)
        if each.cluster == relay.cluster:
            right = "What this relay forwards to its own cluster goes to relay.transceivers; name other clusters here."
            yield Problem(f"relay.cluster_relays[{index}].cluster", f"found {each.cluster}, its own", right)
        yield from reachable(f"relay.cluster_relays[{index}].hop", each.hop, "relay")
    hops = [each.hop for each in relay.cluster_relays]
    for index, hop in enumerate(hops):
        if hop in hops[:index] or hop in relay.transceivers:
            found = f"found {format_address(hop)} again"
            yield Problem(f"relay.cluster_relays[{index}].hop", found, "Whoever is there is one relay of one cluster.")


def _check_tcp(tcp: TcpOptions) -> Iterator[Problem]:
    for name in ("connections", "connections_per_source", "opening", "media_queue"):
        yield from at_least(f"relay.tcp.{name}", getattr(tcp, name), 1)
    for name in ("opening_timeout", "stuck_timeout"):
        yield from more_than_zero(f"relay.tcp.{name}", getattr(tcp, name))
    if 1 <= tcp.connections < tcp.opening:
        right = f"Of relay.tcp.connections, {tcp.connections}, some must be left for calls."
        yield Problem("relay.tcp.opening", f"found {tcp.opening}", right)
    if tcp.opening_timeout > 0 and not 0 <= tcp.grace <= tcp.opening_timeout:
        right = f"It must be from 0 to relay.tcp.opening_timeout, {tcp.opening_timeout:g} seconds."
        yield Problem("relay.tcp.grace", f"found {tcp.grace:g}", right)
    if tcp.queue < tcp.media_queue:
        right = f"It must be at least relay.tcp.media_queue, {tcp.media_queue} bytes."
        yield Problem("relay.tcp.queue", f"found {tcp.queue}", right)
