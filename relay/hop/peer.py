"""What a relay knows of one transceiver's address, and how it hears what is said there on a link that is up."""

from collections import deque

import attrs

from relay.hop.drops import HopDropReason
from relay.hop.events import FlowGone, SessionEnded, SessionMoved, TransceiverIdentity
from relay.hop.health import LinkMeter
from relay.hop.messages import Ended, Gone, Moved
from relay.hop.sealing import ANYONE, REPLAY_WINDOW, Opened
from relay.hop.suspicion import Suspicion
from wire.core import Address, Event
from wire.replay import ReplayWindow

__all__ = ["FIRST_HELLO_INTERVAL", "OPEN_HELLOS", "Peer"]

FIRST_HELLO_INTERVAL = 0.05
"""The first pause between two HELLOs that nobody answers; doubles up to a second."""
OPEN_HELLOS = 4
"""How many HELLOs may wait for their answer at a time."""


@attrs.define
class Peer:
    """A transceiver's address, and what its relay knows of it.

    Attributes:
        address: where it is.
        own_number: ours towards this one; a link that begins anew begins with one that was never used.
        next_hello: when the next HELLO is due.
        interval: seconds to the one after that.
        nonces: of HELLOs that wait for their answer.
        identity: who is there; None while the link is down.
        number: that process's number.
        revision: what it speaks.
        window: refuses what was said before.
        meter: measures the link.
        suspicion: whether it is held for dead; None while its link is down, and where nobody watches over it.
        answered: when it last answered a HELLO.
        beside: where it has said that the other workers of its transceiver are.
        announcer: cluster and incarnation of who said so.
        is_caught_up: whether it has said all that it had to say when the link came up, as far as it says so.
    """

    address: Address
    own_number: int
    next_hello: float
    interval: float = FIRST_HELLO_INTERVAL
    nonces: deque[bytes] = attrs.field(factory=lambda: deque(maxlen=OPEN_HELLOS), repr=False)
    identity: TransceiverIdentity | None = None
    number: int = ANYONE
    revision: int = 0
    window: ReplayWindow = attrs.field(factory=lambda: ReplayWindow(size=REPLAY_WINDOW))
    meter: LinkMeter = attrs.field(factory=LinkMeter)
    suspicion: Suspicion | None = None
    answered: float = 0.0
    beside: frozenset[Address] = frozenset()
    announcer: tuple[int, int] | None = None
    is_caught_up: bool = False

    def come_up(self, identity: TransceiverIdentity, number: int) -> None:
        """Note who is there now; nothing that was said before counts any more."""
        self.identity, self.number = identity, number
        self.window, self.meter = ReplayWindow(size=REPLAY_WINDOW), LinkMeter()
        self.is_caught_up = self.revision < 1  # one that answers no PING

    def go_down(self, own_number: int) -> None:
        """Forget who is there; what comes next is for another number of ours."""
        self.identity, self.number, self.own_number = None, ANYONE, own_number
        self.nonces.clear()
        self.suspicion = None

    def hear(self, opened: Opened) -> HopDropReason | None:
        """Take note of a message on the link; return why it does not count, if so."""
        if self.identity is None or opened.sender != self.number:
            return HopDropReason.UNKNOWN_PEER
        if not self.window.check(opened.counter):
            return HopDropReason.REPLAYED
        self.window.commit(opened.counter)
        return None

    def told(self, message: Gone | Ended | Moved) -> Event:
        """Say what a message of a link that is up reports."""
        identity, session, address = self.identity, message.session, self.address
        assert identity is not None  # noqa: S101 - who has heard it, has seen that
        match message:
            case Gone():
                return FlowGone(session=session, tag=message.tag, address=address)
            case Ended():
                return SessionEnded(session=session, identity=identity, address=address)
            case Moved():
                return SessionMoved(
                    session=session,
                    generation=message.generation,
                    owner=(message.cluster, message.incarnation, message.worker),
                    identity=identity,
                    address=address,
                )
