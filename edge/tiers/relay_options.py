"""From the configuration of a relay to what its workers are told."""

import ipaddress
import socket
from collections.abc import Collection

import trio

from edge.config.model import RelayConfig
from edge.config.problems import Problem
from edge.config.values import is_ip
from edge.start import StartError
from edge.tiers.relay_binding import ingress_bindings
from relay.forwarder import ForwarderOptions
from relay.places import HopPeers
from relay.worker import RelayOptions
from wire.core import Address

__all__ = ["ingress_for", "relay_options", "resolve_peers"]


def relay_options(config: RelayConfig, peers: HopPeers, shared: Collection[int] = ()) -> RelayOptions:
    """Tell a worker of its part.

    Args:
        config: the section of the configuration.
        peers: whom it says HELLO to.
        shared: numbers of the TCP ingresses whose connections somebody else accepts.
    """
    return RelayOptions(
        hop=config.hop,
        ingresses=ingress_bindings(config, shared),
        transceivers=peers.transceivers,
        clusters=peers.clusters,
        forwarder=ForwarderOptions(
            max_claims=config.max_flows,
            max_call=config.max_call,
            hop_sealed=config.hop_sealed,
            cluster=config.cluster,
        ),
        tcp=config.tcp,
    )


def ingress_for(sock: socket.socket, config: RelayConfig, shared: Collection[int]) -> int:
    """Choose the ingress of a connection to a shared port: one of its family, if there is such a one."""
    is_ipv6 = sock.family == socket.AF_INET6
    ingresses = [each for each in config.ingresses if each.id in shared]
    alike = [each for each in ingresses if (":" in each.advertise[0]) == is_ipv6]
    return (alike or ingresses)[0].id


async def resolve_peers(config: RelayConfig) -> HopPeers:
    """Turn names of transceivers and relays into addresses of the hop socket's family; a name may stand for several.

    Raises:
        StartError: a name cannot be resolved.
    """
    family = trio.socket.AF_INET6 if ":" in config.hop[0] else trio.socket.AF_INET
    transceivers: dict[Address, None] = {}
    for index, address in enumerate(config.transceivers):
        transceivers.update(dict.fromkeys(await _resolve(f"relay.transceivers[{index}]", address, family)))
    relays: dict[tuple[int, Address], None] = {}
    for index, relay in enumerate(config.cluster_relays):
        found = await _resolve(f"relay.cluster_relays[{index}].hop", relay.hop, family)
        relays.update(dict.fromkeys((relay.cluster, each) for each in found))
    return HopPeers(transceivers=tuple(transceivers), cluster_relays=tuple(relays))


async def _resolve(key: str, address: Address, family: int) -> list[Address]:
    host, port = address
    if is_ip(host):
        return [(str(ipaddress.ip_address(host)), port)]
    try:
        answers = await trio.socket.getaddrinfo(host, port, family, trio.socket.SOCK_DGRAM)
    except OSError as error:
        right = "It must be an IP address, or a name that can be resolved."
        raise StartError([Problem(key, f'"{host}" cannot be resolved: {error.strerror}', right)]) from None
    return [(str(answer[4][0]), port) for answer in answers]
