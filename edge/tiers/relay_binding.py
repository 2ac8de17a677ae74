"""The sockets of a relay, bound as its configuration says. It imports no more than that takes (`edge.head_start`)."""

from collections.abc import Callable, Collection

from edge.config.model import RelayConfig
from edge.relay_workers.binding import bind_workers
from edge.start import StartError, first_that_cannot_be_bound
from relay.sockets import GivenSockets, IngressBinding, RelaySockets, open_sockets

__all__ = ["bind_relay", "ingress_bindings"]


def bind_relay(
    config: RelayConfig,
    shared: Collection[int] = (),
    *,
    on_warning: Callable[[str], object],
    given: GivenSockets | None = None,
) -> list[RelaySockets]:
    """Open the sockets of each worker.

    Args:
        config: the section of the configuration.
        shared: numbers of the TCP ingresses whose connections somebody else accepts.
        on_warning: called with a sentence for the operator.
        given: sockets of an earlier program, used again where they are bound where they should be.

    Raises:
        StartError: an address cannot be bound; none stays bound then.
    """
    ingresses = ingress_bindings(config, shared)
    try:
        if config.workers > 1:
            return bind_workers(config.workers, config.hop, ingresses, on_warning=on_warning, given=given)
        return [open_sockets(config.hop, ingresses, on_warning=on_warning, given=given)]
    except OSError as error:
        raise _bind_problem(config, error, shared) from error


def ingress_bindings(config: RelayConfig, shared: Collection[int] = ()) -> list[IngressBinding]:
    """List the public addresses; see `bind_relay`."""
    return [
        IngressBinding(
            id=each.id,
            bind=None if each.id in shared else each.bind,
            protocol="tcp" if each.protocol == "tcp" else "udp",
        )
        for each in config.ingresses
    ]


def _bind_problem(config: RelayConfig, error: OSError, shared: Collection[int]) -> StartError:
    """Say which address could not be bound, and what to do."""
    host, port = config.hop
    addresses = [("relay.hop", (host, port + number if port else 0), "udp") for number in range(config.workers)]
    addresses += [
        (f"relay.ingresses[{index}].bind", each.bind, each.protocol)
        for index, each in enumerate(config.ingresses)
        if each.id not in shared
    ]
    return first_that_cannot_be_bound(addresses, error)
