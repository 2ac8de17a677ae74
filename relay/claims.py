"""What a claim is: the record that `relay.flows` keeps of a session at a client's address, and where it leads.

A relay holds tens of thousands of these, so a claim stores nothing that can be derived. Its *path* (`relay.hop.header`)
holds ingress, generation, client, session and tag as they stand in front of every datagram; times are numbers of ticks,
which claims of the same tick share; of the client's username fragment it keeps eight bits, and shares them and how far
it is believed with all claims that are alike in both.
"""

import enum
import math
from typing import Final

import attrs

from relay.hop.header import up_header_of
from relay.hop.tunnel import Tunnel
from relay.local_addresses import ingress_of
from relay.sockaddr import parse_sockaddr, serialize_sockaddr
from wire.core import Address

__all__ = ["NO_MARK", "Claim", "ClaimState", "Route", "TransceiverPlace", "mark_of"]

_SESSION = slice(6, 14)
_TAG = slice(14, 22)
# Where these fields are in a path.

NO_MARK: Final = 256
"""The mark of a claim at which no fragment was verified here yet."""


def mark_of(ufrag: str) -> int:
    """Eight bits by which a username fragment is recognised in passing; nobody outside can tell which (PEP 456)."""
    return hash(ufrag) & 0xFF


class ClaimState(enum.Enum):
    """How far a claim is believed."""

    UNPROVEN = "unproven"
    PROVEN = "proven"
    QUIET = "quiet"
    REMOVED = "removed"


@attrs.define(eq=False)
class TransceiverPlace:
    """Where a transceiver worker is at present; shared by all claims that lead there.

    Attributes:
        address: on the hop; None while its link is down.
        sockaddr: the same, as the kernel spells it; empty while its link is down, and where its data is sealed, since
            nothing can be sent there as it is.
        tunnel: seals and opens what goes there and comes from there; None where that is not sealed.
        heard: when a client's datagram last came from there (`relay.hop.watching`).
    """

    address: Address | None
    sockaddr: bytes = attrs.field(init=False, default=b"")
    tunnel: Tunnel | None = attrs.field(init=False, default=None)
    heard: float = -math.inf

    def __attrs_post_init__(self) -> None:
        self.move(self.address)

    def move(self, address: Address | None, tunnel: Tunnel | None = None) -> None:
        """Note where it is now, and what seals its data; None while nobody knows."""
        self.address = address
        self.tunnel = tunnel
        self.sockaddr = b"" if address is None or tunnel is not None else serialize_sockaddr(address)

    def datagram(self, upward: bytes) -> tuple[bytes, Address] | None:
        """What to send for a datagram with its UP header to get there; None while its link is down."""
        if self.address is None:
            return None
        return (upward if self.tunnel is None else self.tunnel.seal(upward)), self.address


@attrs.frozen(kw_only=True)
class Route:
    """Where a claim leads.

    Attributes:
        session: the session's number.
        place: its transceiver.
        tag: the flow's tag for this session.
        up_header: goes in front of what the client sends.
        generation: of the session's ownership, as in `up_header`.
    """

    session: int
    place: TransceiverPlace
    tag: bytes
    up_header: bytes
    generation: int = 0


_STATES = tuple(ClaimState)
_MARKS = NO_MARK + 1
_STANDINGS = tuple(range(len(_STATES) * _MARKS))
"""What a claim's state and mark are together, as a number. Such numbers are objects; all claims share these."""


def _standing(state: ClaimState, mark: int) -> int:
    return _STANDINGS[_STATES.index(state) * _MARKS + mark]


@attrs.define(eq=False, kw_only=True, weakref_slot=False)
class Claim:
    """A session's claim on a client's address.

    Attributes:
        egress: what goes to the client leaves by this ingress, and from this of our addresses
            (`relay.local_addresses`).
        sockaddr: the client's address, as the kernel spells it.
        path: the hop header of its datagrams without the two bytes that tell up from down.
        place: where its transceiver is.
        heard: tick in which something came from the client's side that only it could send, or the claim was made.
        told: tick in which the transceiver last said that the path is proven, or the claim was made.
        next: another claim of this session, or of one that shares its chain in the table.
    """

    egress: int
    sockaddr: bytes
    path: bytes
    place: TransceiverPlace
    heard: int
    told: int
    next: "Claim | None" = None
    _standing: int = attrs.field(init=False, default=_standing(ClaimState.UNPROVEN, NO_MARK))

    @property
    def state(self) -> ClaimState:
        """How far it is believed."""
        return _STATES[self._standing // _MARKS]

    @state.setter
    def state(self, state: ClaimState) -> None:
        self._standing = _standing(state, self.mark)

    @property
    def mark(self) -> int:
        """Of the fragment last verified here, or `NO_MARK`."""
        return self._standing % _MARKS

    @mark.setter
    def mark(self, mark: int) -> None:
        self._standing = _standing(self.state, mark)

    @property
    def ingress(self) -> int:
        """Number of the ingress that the client talks to."""
        return ingress_of(self.egress)

    @property
    def client(self) -> Address:
        """The client's address."""
        return parse_sockaddr(self.sockaddr)

    @property
    def session(self) -> int:
        """The session's number."""
        return int.from_bytes(self.path[_SESSION], "big")

    @property
    def tag(self) -> bytes:
        """The flow's tag for this session."""
        return self.path[_TAG]

    @property
    def generation(self) -> int:
        """How many owners the session had before the present one."""
        return int.from_bytes(self.path[2:4], "big")

    @property
    def up_header(self) -> bytes:
        """What goes in front of what the client sends."""
        return up_header_of(self.path)
