"""How the clients of our calls are reached: through which relay, under which tag.

Relays mark each forwarded datagram with a flow tag that only they can make (`relay.hop`). We echo the tag on the way
back, so a relay needs no memory of the flow, and cannot be made to send where no client asked. The header of a path
is a constant, so it is also how a datagram finds its session here: one look-up by the header's bytes.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs

from relay.hop.header import answering
from relay.hop.links import FlowsWanted
from relay.hop.transceiver_end import REFRESH_INTERVAL
from wire.core import Address, Path

__all__ = ["Flow", "flows_to_announce"]


@attrs.define(eq=False)
class Flow:
    """One client path of one session, with the header that leads back to it.

    Attributes:
        path: the client's address and the ingress it talks to.
        up_header: what relays put before each datagram of the path, at the generation of our ownership.
        tag: the relay's mark inside that header, opaque to us.
        relay: hop address of the relay that forwarded last.
        heard: when that was.
        header: what goes before each datagram on the way down.
        is_validated: the path is proven.
    """

    path: Path
    up_header: bytes
    tag: bytes
    relay: Address
    heard: float = 0.0
    header: bytes = b""
    is_validated: bool = False

    def __attrs_post_init__(self) -> None:
        self.header = answering(self.up_header, validated=False)

    def mark_validated(self) -> None:
        """Tell relays from now on that the path is proven, so that no other claim on the address wins."""
        self.header = answering(self.up_header, validated=True)
        self.is_validated = True


class _HasFlows(Protocol):
    @property
    def flows(self) -> Mapping[Path, Flow]:
        """Its flows, by path."""


def flows_to_announce(calls: Iterable[_HasFlows], wanted: FlowsWanted, now: float) -> list[bytes]:
    """Choose what a relay is told of, the busiest first.

    A path that carries a call was heard milliseconds ago, one that is kept in reserve some seconds ago. To a relay that
    is not new goes again what was heard lately by way of others: what is silent must not hold its address there.

    Returns:
        The UP headers of the flows.
    """
    since = float("-inf") if wanted.is_new else now - REFRESH_INTERVAL
    found = [
        (flow.heard, flow.up_header)
        for call in calls
        for flow in call.flows.values()
        if flow.is_validated
        and flow.path.via in wanted.ingresses
        and flow.heard > since
        and (wanted.is_new or flow.relay != wanted.address)
    ]
    found.sort(reverse=True)
    return [header for _, header in found]
