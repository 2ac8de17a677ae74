"""The sockets of one relay worker: opened here, or by somebody who outlives the worker and lends them to it."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Literal

import attrs

from relay.tcp.sockets import open_tcp
from relay.udp import open_udp
from wire.core import Address

__all__ = ["IngressBinding", "IngressProtocol", "RelaySockets", "open_sockets"]

IngressProtocol = Literal["udp", "tcp"]
"""What clients speak below STUN, DTLS and SRTP; over TCP with the framing of RFC 4571."""


@attrs.frozen(kw_only=True)
class IngressBinding:
    """A public address of the relay.

    Attributes:
        id: the ingress's number, unique in the fleet, 16 bits; the hop header carries it.
        bind: IP address and port of the socket; port 0 lets the kernel choose. None, for TCP only: connections are
            accepted by somebody else, who calls `RelayWorker.adopt`.
        protocol: what clients speak.
    """

    id: int
    bind: Address | None
    protocol: IngressProtocol = "udp"


@attrs.frozen(kw_only=True, eq=False)
class RelaySockets:
    """What a worker reads and writes.

    Attributes:
        hop: towards the transceivers.
        ingresses: towards clients on UDP, by the ingress's number.
        listeners: where clients on TCP are accepted, by the ingress's number.
    """

    hop: socket.socket
    ingresses: Mapping[int, socket.socket]
    listeners: Mapping[int, socket.socket] = attrs.field(factory=dict)

    def __iter__(self) -> Iterator[socket.socket]:
        """Go through all of them: the hop socket first, then those of the ingresses."""
        yield self.hop
        yield from self.ingresses.values()
        yield from self.listeners.values()

    def close(self) -> None:
        """Close all; what waits in them is lost, unless another process holds them too."""
        for sock in self:
            sock.close()


def open_sockets(
    hop: Address,
    ingresses: Sequence[IngressBinding],
    *,
    on_warning: Callable[[str], object],
    reuse_port: bool = False,
) -> RelaySockets:
    """Open what one worker needs.

    Args:
        hop: where to bind the hop socket.
        ingresses: the public addresses.
        on_warning: called with a sentence for the operator.
        reuse_port: whether other workers may bind the same public addresses.

    Raises:
        OSError: an address cannot be bound; none stays bound then.
    """
    opened: dict[int, socket.socket] = {}
    listeners: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        hop_socket = stack.enter_context(open_udp(*hop, on_warning=on_warning))
        for ingress in ingresses:
            if ingress.bind is None:
                continue
            if ingress.protocol == "udp":
                sock = opened[ingress.id] = open_udp(*ingress.bind, on_warning=on_warning, reuse_port=reuse_port)
            else:
                sock = listeners[ingress.id] = open_tcp(*ingress.bind, reuse_port=reuse_port)
            stack.enter_context(sock)
        stack.pop_all()
    return RelaySockets(hop=hop_socket, ingresses=opened, listeners=listeners)
