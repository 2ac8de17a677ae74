"""The sockets of all workers of a relay: the hop's on consecutive ports, the public ones on the same addresses."""

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from relay.sockets import GivenSockets, IngressBinding, RelaySockets, open_sockets
from wire.core import Address

__all__ = ["bind_workers", "core_of"]


def bind_workers(
    workers: int,
    hop: Address,
    ingresses: Sequence[IngressBinding],
    *,
    on_warning: Callable[[str], object],
    given: GivenSockets | None = None,
) -> list[RelaySockets]:
    """Open the sockets of all workers.

    Args:
        workers: how many.
        hop: of the first; the others follow on consecutive ports, unless the port is 0.
        ingresses: the public addresses.
        on_warning: called with a sentence for the operator.
        given: sockets of an earlier program, used again where they are bound where they should be.

    Raises:
        OSError: an address cannot be bound, or another program has it; none stays bound then.
    """
    host, port = hop
    if given is not None:
        given.share_ports()
    with ExitStack() as stack:
        opened: list[RelaySockets] = []
        for number in range(workers):
            if not number and given is None:
                _check_that_nobody_has(ingresses)
            sockets = open_sockets(
                (host, port + number if port else 0),
                ingresses,
                on_warning=on_warning,
                reuse_port=True,
                worker=number,
                given=given,
            )
            stack.callback(sockets.close)
            opened.append(sockets)
            # Where the kernel has chosen a port for the first worker, the others take the same.
            ingresses = [_where(each, sockets) for each in ingresses]
        stack.pop_all()
    return opened


def _check_that_nobody_has(ingresses: Sequence[IngressBinding]) -> None:
    """Refuse addresses that another program has bound, even one that would share them with us.

    The kernel would give it half of the clients, and neither would ever know.
    """
    for ingress in ingresses:
        if ingress.bind is not None and ingress.protocol == "udp":
            family = socket.AF_INET6 if ":" in ingress.bind[0] else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(ingress.bind)


def _where(ingress: IngressBinding, sockets: RelaySockets) -> IngressBinding:
    sock = sockets.ingresses.get(ingress.id) or sockets.listeners.get(ingress.id)
    if sock is None:
        return ingress
    host, port = sock.getsockname()[:2]
    return IngressBinding(id=ingress.id, bind=(host, port), protocol=ingress.protocol)


def core_of(number: int, workers: int) -> int | None:
    """Choose the processor of a worker: one for each, where there are enough; None for any."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return cores[number] if 1 < workers <= len(cores) else None
