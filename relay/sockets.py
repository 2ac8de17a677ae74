"""The sockets of one relay worker: opened here, or by somebody who outlives the worker and lends them to it."""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Literal

import attrs

from relay.binding import open_tcp, open_udp
from wire.core import Address

__all__ = ["HOP", "PAGES", "GivenSockets", "IngressBinding", "IngressProtocol", "RelaySockets", "open_sockets"]

HOP = -1
"""Stands for the hop socket among the numbers of ingresses."""
PAGES = -2
"""Stands for a socket that is no worker's, on which the relay's pages are served."""

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

    @property
    def purposes(self) -> tuple[int, ...]:
        """What each is for, in the order in which they are gone through: `HOP`, or the number of its ingress."""
        return (HOP, *self.ingresses, *self.listeners)

    def close(self) -> None:
        """Close all; what waits in them is lost, unless another process holds them too."""
        for sock in self:
            sock.close()


class GivenSockets:
    """Sockets that an earlier program had bound, to be used again with all that waits in them."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[int, int], socket.socket] = {}

    def add(self, worker: int, purpose: int, sock: socket.socket) -> None:
        """Take one over.

        Args:
            worker: number of the worker that read it.
            purpose: `HOP`, or the number of its ingress.
            sock: the socket.
        """
        sock.setblocking(False)
        self._sockets[worker, purpose] = sock

    def take(self, worker: int, purpose: int, kind: socket.SocketKind, wanted: Address) -> socket.socket | None:
        """Give away the one that is bound where one is wanted; None when there is none."""
        sock = self._sockets.get((worker, purpose))
        if sock is None or sock.type != kind:
            return None
        host, port = sock.getsockname()[:2]
        if host != wanted[0] or wanted[1] not in {0, port}:
            return None
        return self._sockets.pop((worker, purpose))

    def share_ports(self) -> None:
        """Let other sockets be bound beside them, in case there are to be more workers than there were."""
        for sock in self._sockets.values():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def __len__(self) -> int:
        """How many nobody has taken."""
        return len(self._sockets)

    def close(self) -> None:
        """Close those that nobody has taken."""
        while self._sockets:
            self._sockets.popitem()[1].close()


def open_sockets(  # noqa: PLR0913, RUF100 - the last three have defaults
    hop: Address,
    ingresses: Sequence[IngressBinding],
    *,
    on_warning: Callable[[str], object],
    reuse_port: bool = False,
    worker: int = 0,
    given: GivenSockets | None = None,
) -> RelaySockets:
    """Open what one worker needs.

    Args:
        hop: where to bind the hop socket.
        ingresses: the public addresses.
        on_warning: called with a sentence for the operator.
        reuse_port: whether other workers may bind the same public addresses.
        worker: the worker's number.
        given: used instead of new ones where they are bound where they should be.

    Raises:
        OSError: an address cannot be bound; none stays bound then.
    """
    given = given or GivenSockets()
    opened: dict[int, socket.socket] = {}
    listeners: dict[int, socket.socket] = {}
    with ExitStack() as stack:
        hop_socket = given.take(worker, HOP, socket.SOCK_DGRAM, hop) or open_udp(*hop, on_warning=on_warning)
        stack.enter_context(hop_socket)
        for ingress in ingresses:
            if ingress.bind is None:
                continue
            if ingress.protocol == "udp":
                sock = given.take(worker, ingress.id, socket.SOCK_DGRAM, ingress.bind)
                sock = sock or open_udp(*ingress.bind, on_warning=on_warning, reuse_port=reuse_port)
                opened[ingress.id] = stack.enter_context(sock)
            else:
                sock = given.take(worker, ingress.id, socket.SOCK_STREAM, ingress.bind)
                sock = sock or open_tcp(*ingress.bind, reuse_port=reuse_port)
                listeners[ingress.id] = stack.enter_context(sock)
        stack.pop_all()
    return RelaySockets(hop=hop_socket, ingresses=opened, listeners=listeners)
