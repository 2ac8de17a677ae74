"""What each tier of a process says of itself in the fleet."""

import os
import socket
from collections.abc import Mapping, Sequence

import attrs

from edge.config.embedded import own_address
from edge.config.model import RelayConfig, Role, SignalIngress, StoreConfig, TransceiverConfig
from edge.config.store import NodeConfig
from edge.config.values import format_address
from edge.registry.links import drawn, pooled
from edge.registry.member import MeasuredLink, Member
from edge.store.place import RedisPlace
from edge.version import VERSION
from wire.core import Address

__all__ = ["Node", "describe_relay", "describe_signal", "describe_transceiver"]

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - replaced


@attrs.frozen(kw_only=True)
class Node:
    """What all tiers of this process have in common.

    Attributes:
        name: what people call it.
        region: where it is; empty for nowhere in particular.
        address: where others reach what listens on all addresses.
        incarnation: tells this process from others; a transceiver has its own.
    """

    name: str
    region: str
    address: str
    incarnation: int

    @classmethod
    def of(cls, node: NodeConfig, store: StoreConfig) -> "Node":
        """Take it from the configuration, and find out what that leaves open."""
        return cls(
            name=node.name or socket.gethostname(),
            region=node.region or "",
            address=node.address or _address_towards(RedisPlace.parse(store.url or "")) or "127.0.0.1",
            incarnation=int.from_bytes(os.urandom(4), "big"),
        )

    def reachable(self, address: Address) -> Address:
        """Replace a wildcard by what others can reach."""
        host, port = address
        return (self.address, port) if host in _WILDCARDS else (host, port)

    def url(self, scheme: str, address: Address) -> str:
        """Write where others reach an address."""
        return f"{scheme}://{format_address(self.reachable(address))}"

    def describe(self, kind: Role) -> Member:
        """Describe a tier of which nothing else is to be said."""
        return Member(kind=kind, name=self.name, incarnation=self.incarnation, version=VERSION, region=self.region)


def describe_transceiver(
    node: Node, config: TransceiverConfig, hop: Sequence[Address], control: str, status: Mapping[str, object]
) -> Member:
    """Describe a transceiver.

    Args:
        node: its process.
        config: its section.
        hop: where relays reach its workers.
        control: the base URL at which signal reaches it.
        status: what it says to signal.
    """
    # Of workers on consecutive ports relays are told the first, as in a configuration.
    told = hop[:1] if config.hop[1] else hop
    return attrs.evolve(
        node.describe(Role.TRANSCEIVER),
        incarnation=_number(status, "incarnation"),
        cluster=_number(status, "cluster"),
        control=control,
        hop=tuple(map(node.reachable, told)),
        workers=_number(status, "workers"),
        calls=_number(status, "calls"),
        max_calls=_number(status, "max_calls"),
        is_ready=bool(status.get("ready")),
        reason=str(status.get("reason") or ""),
        is_draining=status.get("reason") == "draining",
    )


def describe_relay(
    node: Node,
    config: RelayConfig,
    hop: Sequence[Address],
    flows: int,
    reason: str,
    links: Sequence[MeasuredLink] = (),
) -> Member:
    """Describe a relay.

    Args:
        node: its process.
        config: its section.
        hop: where its workers are on the hop.
        flows: client addresses that it remembers.
        reason: why nothing is forwarded; empty when something is.
        links: what its workers have measured of transceivers' workers.
    """
    ingresses = tuple(
        SignalIngress(
            id=each.id, advertise=each.advertise, protocol=each.protocol, region=node.region or None, relay=node.name
        )
        for each in config.ingresses
    )
    return attrs.evolve(
        node.describe(Role.RELAY),
        cluster=config.cluster,
        hop=tuple(map(node.reachable, hop)),
        workers=config.workers,
        ingresses=ingresses,
        calls=flows,
        max_calls=config.max_flows * config.workers,
        is_ready=not reason,
        reason=reason,
        links=drawn(pooled(links), node.incarnation),
    )


def describe_signal(node: Node, reason: str) -> Member:
    """Describe a signal server.

    Args:
        node: its process.
        reason: why no call can be placed; empty when one can.
    """
    return attrs.evolve(node.describe(Role.SIGNAL), is_ready=not reason, reason=reason)


def _address_towards(place: RedisPlace) -> str | None:
    """Find the address that this machine uses towards the store; connecting a UDP socket sends nothing."""
    if not place.host:
        return own_address()
    try:
        family, _, _, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
            return str(probe.getsockname()[0])
    except OSError:
        return own_address()


def _number(status: Mapping[str, object], name: str) -> int:
    value = status.get(name)
    return value if isinstance(value, int) else 0
