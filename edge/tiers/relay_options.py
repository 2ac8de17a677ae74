"""From the configuration of a relay to what its workers are told."""

import ipaddress
import socket
from collections.abc import Collection

import trio

from edge.config.model import RelayConfig
from edge.config.problems import Problem
from edge.config.values import is_ip
from edge.start import StartError, first_that_cannot_be_bound
from relay.forwarder import ForwarderOptions
from relay.sockets import IngressBinding
from relay.worker import RelayOptions
from wire.core import Address

__all__ = ["bind_problem", "ingress_bindings", "ingress_for", "relay_options", "resolve_transceivers"]


def relay_options(config: RelayConfig, transceivers: tuple[Address, ...], shared: Collection[int] = ()) -> RelayOptions:
    """Tell a worker of its part.

    Args:
        config: the section of the configuration.
        transceivers: where they are, by IP address.
        shared: numbers of the TCP ingresses whose connections somebody else accepts.
    """
    return RelayOptions(
        hop=config.hop,
        ingresses=ingress_bindings(config, shared),
        transceivers=transceivers,
        forwarder=ForwarderOptions(max_claims=config.max_flows, max_call=config.max_call, hop_sealed=config.hop_sealed),
    )


def ingress_bindings(config: RelayConfig, shared: Collection[int] = ()) -> list[IngressBinding]:
    """List the public addresses; see `relay_options`."""
    return [
        IngressBinding(
            id=each.id,
            bind=None if each.id in shared else each.bind,
            protocol="tcp" if each.protocol == "tcp" else "udp",
        )
        for each in config.ingresses
    ]


def ingress_for(sock: socket.socket, config: RelayConfig, shared: Collection[int]) -> int:
    """Choose the ingress of a connection to a shared port: one of its family, if there is such a one."""
    is_ipv6 = sock.family == socket.AF_INET6
    ingresses = [each for each in config.ingresses if each.id in shared]
    alike = [each for each in ingresses if (":" in each.advertise[0]) == is_ipv6]
    return (alike or ingresses)[0].id


def bind_problem(config: RelayConfig, error: OSError, shared: Collection[int] = ()) -> StartError:
    """Say which address could not be bound, and what to do."""
    host, port = config.hop
    addresses = [("relay.hop", (host, port + number if port else 0), "udp") for number in range(config.workers)]
    addresses += [
        (f"relay.ingresses[{index}].bind", each.bind, each.protocol)
        for index, each in enumerate(config.ingresses)
        if each.id not in shared
    ]
    return first_that_cannot_be_bound(addresses, error)


async def resolve_transceivers(config: RelayConfig) -> tuple[Address, ...]:
    """Turn names of transceivers into addresses of the hop socket's family; a name may stand for several.

    Raises:
        StartError: a name cannot be resolved.
    """
    family = trio.socket.AF_INET6 if ":" in config.hop[0] else trio.socket.AF_INET
    found: dict[Address, None] = {}
    for index, (host, port) in enumerate(config.transceivers):
        if is_ip(host):
            found[str(ipaddress.ip_address(host)), port] = None
            continue
        try:
            answers = await trio.socket.getaddrinfo(host, port, family, trio.socket.SOCK_DGRAM)
        except OSError as error:
            right = "It must be an IP address, or a name that can be resolved."
            problem = Problem(f"relay.transceivers[{index}]", f'"{host}" cannot be resolved: {error.strerror}', right)
            raise StartError([problem]) from None
        found.update({(str(answer[4][0]), port): None for answer in answers})
    return tuple(found)
