"""What the ends of a link report."""

import attrs

from relay.hop.tunnel import Tunnel
from wire.core import Address, Event

__all__ = [
    "FlowGone",
    "FlowsAcknowledged",
    "FlowsAnnounced",
    "FlowsWanted",
    "LinkDown",
    "LinkUp",
    "RelayLost",
    "RelaySeen",
    "SessionEnded",
    "SessionMoved",
    "TransceiverIdentity",
    "TransceiverSuspected",
]

TransceiverIdentity = tuple[int, int, int]
"""Cluster, incarnation and worker: what a route names."""


@attrs.frozen(kw_only=True)
class LinkUp(Event):
    """A transceiver's process was found at an address.

    Attributes:
        identity: who it is.
        address: where it is.
        tunnel: what seals and opens the data of the link; None where it is not sealed.
    """

    identity: TransceiverIdentity
    address: Address
    tunnel: Tunnel | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class LinkDown(Event):
    """A transceiver's process is not at its address any more.

    Attributes:
        identity: who it was.
        address: where it was.
    """

    identity: TransceiverIdentity
    address: Address


@attrs.frozen(kw_only=True)
class FlowGone(Event):
    """A transceiver says that a path of one of its sessions has ended.

    Attributes:
        session: the session's number.
        tag: the path's flow tag.
        address: the transceiver that says so; whether the flow is its own is for the flow table to check.
    """

    session: int
    tag: bytes
    address: Address


@attrs.frozen(kw_only=True)
class SessionEnded(Event):
    """A transceiver says that it has no such session.

    Attributes:
        session: the session's number.
        identity: the transceiver that says so.
        address: where that is.
    """

    session: int
    identity: TransceiverIdentity
    address: Address


@attrs.frozen(kw_only=True)
class SessionMoved(Event):
    """A transceiver says who owns a session that was its own.

    Attributes:
        session: the session's number.
        generation: of the session's ownership from now on.
        owner: the new owner.
        identity: the transceiver that says so.
        address: where that is.
    """

    session: int
    generation: int
    owner: TransceiverIdentity
    identity: TransceiverIdentity
    address: Address


@attrs.frozen(kw_only=True)
class FlowsAnnounced(Event):
    """A transceiver says which flows are its own; which of them are ours is for the flow tags to say.

    Attributes:
        headers: UP headers of proven paths.
        address: the transceiver that says so.
    """

    headers: tuple[bytes, ...]
    address: Address


@attrs.frozen(kw_only=True)
class FlowsAcknowledged(Event):
    """A relay has learned flows that were taken over; of their sessions' earlier owners it takes nothing any more.

    Attributes:
        headers: the UP headers that `Telling.take_over` was given.
        address: the relay.
    """

    headers: tuple[bytes, ...]
    address: Address


@attrs.frozen(kw_only=True)
class FlowsWanted(Event):
    """A relay is to be told which flows it may be asked to forward.

    Attributes:
        address: the relay.
        ingresses: the ingresses that it serves.
        is_new: it may know nothing, and wants all of them; else what it did not hear of lately.
    """

    address: Address
    ingresses: frozenset[int]
    is_new: bool


@attrs.frozen(kw_only=True)
class RelaySeen(Event):
    """A relay has proven itself at an address, for the first time or after a restart."""

    address: Address


@attrs.frozen(kw_only=True)
class RelayLost(Event):
    """A relay has not confirmed for so long that its datagrams are not taken any more."""

    address: Address


@attrs.frozen(kw_only=True)
class TransceiverSuspected(Event):
    """A relay holds another transceiver of our cluster for dead; it says so again while that lasts.

    Attributes:
        cluster: with the next two, who is suspected.
        incarnation: which process.
        worker: which of its sockets.
        address: the relay that says so. That it is so, is for us to find out.
    """

    cluster: int
    incarnation: int
    worker: int
    address: Address
