"""What all parts of an association share: its state, its terms, both halves, and how it ends.

RFC 9260 calls it the transmission control block (TCB).
"""

from sctp.causes.cause import Cause
from sctp.chunks.abort import Abort
from sctp.chunks.error import Error
from sctp.drops import DropReason
from sctp.events import Connected
from sctp.options import SctpOptions
from sctp.outbox import Outbox
from sctp.rx.receiver import Receiver
from sctp.states import ASSOCIATION_STATES, State, Trigger
from sctp.terms import Terms
from sctp.tx.sender import COMMON_HEADER_SIZE, Sender
from wire.core import Closed, Drops, Entropy, Event

__all__ = ["ControlBlock", "random_number", "random_tag"]


def random_number(entropy: Entropy) -> int:
    """Return a random number of 32 bits."""
    return int.from_bytes(entropy(4), "big")


def random_tag(entropy: Entropy) -> int:
    """Return a random number of 32 bits that is not 0 (RFC 9260 §5.3.1)."""
    while not (tag := random_number(entropy)):
        pass
    return tag


class ControlBlock:
    """The association as its parts see it.

    Args:
        options: of the association.
        entropy: for tags and numbers.

    Attributes:
        state: where it is in its life.
        local_tag: verification tag of what we receive.
        local_initial_tsn: TSN of our first chunk.
        terms: what was agreed on; None before the peer's INIT ACK or COOKIE ECHO.
        tie_tags: ours and the peer's (see `cookie`); zeros while there is no association to tie to.
        sender: the sending half.
        receiver: the receiving half; None before there are terms.
        outbox: what is ready to be sent.
        events: what is to be reported.
        drops: what was dropped, by `DropReason`.
        errors: consecutive expirations without a sign of life (RFC 9260 §8.1).
        adoptions: how often terms were adopted.
        peer_max_message_size: bytes of the largest message that the peer takes; 0 for any size.
    """

    __slots__ = (
        "adoptions",
        "drops",
        "entropy",
        "errors",
        "events",
        "local_initial_tsn",
        "local_tag",
        "options",
        "outbox",
        "peer_max_message_size",
        "receiver",
        "sender",
        "state",
        "terms",
        "tie_tags",
    )

    def __init__(self, options: SctpOptions, entropy: Entropy) -> None:
        self.options = options
        self.entropy = entropy
        self.drops: Drops = Drops()
        self.events: list[Event] = []
        self.outbox = Outbox(options.mtu - COMMON_HEADER_SIZE, self.drops)
        self.state = State.CLOSED
        self.local_tag = random_tag(entropy)
        self.local_initial_tsn = random_number(entropy)
        self.terms: Terms | None = None
        self.tie_tags = (0, 0)
        self.sender = Sender(options, self.local_initial_tsn)
        self.receiver: Receiver | None = None
        self.errors = 0
        self.adoptions = 0
        self.peer_max_message_size = 0

    @property
    def peer_tag(self) -> int:
        """Verification tag of what we send; 0 while it is not known."""
        return 0 if self.terms is None else self.terms.peer_tag

    def move(self, trigger: Trigger) -> bool:
        """Follow the table.

        Returns:
            False when there is no way from here; nothing has changed then.
        """
        target = ASSOCIATION_STATES[self.state].get(trigger)
        if target is None:
            return False
        self.state = target
        return True

    def drop(self, reason: DropReason) -> None:
        """Count something that was dropped."""
        self.drops[reason] += 1

    # The association's life ------------------------------------------------------------------------------------------

    def adopt(self, terms: Terms) -> None:
        """Take terms that the peer and we have agreed on; the sending half goes on where it is."""
        self.terms = terms
        self.adoptions += 1
        # RFC 9260 §5.2.2: tie tags are random numbers other than 0.
        self.tie_tags = (random_tag(self.entropy), random_tag(self.entropy))
        self.receiver = Receiver(self.options, terms.peer_initial_tsn, terms.inbound_streams, self.drops, self.events)
        self.sender.queue.drop_beyond(terms.outbound_streams)
        self.sender.set_peer(terms.peer_window, has_forward_tsn=terms.has_forward_tsn)

    def begin(self, terms: Terms) -> None:
        """Take terms whose tag and TSN of ours are new, too: everything on the way is forgotten."""
        self.local_tag = terms.local_tag
        self.local_initial_tsn = terms.local_initial_tsn
        self.sender.start(terms.local_initial_tsn)
        self.outbox.clear()
        self.adopt(terms)

    def report_connected(self) -> None:
        """The association is established."""
        self.errors = 0
        if self.terms is not None:
            self.events.append(
                Connected(outbound_streams=self.terms.outbound_streams, inbound_streams=self.terms.inbound_streams)
            )

    # Failure ---------------------------------------------------------------------------------------------------------

    def count_error(self) -> None:
        """Something was left unanswered; too often in a row, and the peer is given up (RFC 9260 §8.1)."""
        self.errors += 1
        if self.errors > self.options.max_retransmits:
            self.abort("peer-unreachable", "nothing is answered any more")

    def heard(self) -> None:
        """The peer has given a sign of life (RFC 9260 §8.1)."""
        self.errors = 0

    def report_error(self, *causes: Cause) -> None:
        """Tell the peer about something that was dropped, without any consequence."""
        self.outbox.add_control(Error(causes=causes))

    def abort(self, reason: str, detail: str, *causes: Cause) -> None:
        """End it at once, and tell both sides why."""
        self.abandon(*causes)
        self.events.append(Closed(reason=reason, detail=detail))

    def abandon(self, *causes: Cause) -> None:
        """End it at once, and tell the peer."""
        self.end()
        if self.peer_tag:
            # RFC 9260 §9.1: with the peer's tag, and without DATA.
            self.outbox.add_packet(self.peer_tag, Abort(causes=causes))

    def close(self, reason: str, detail: str) -> None:
        """It has ended."""
        self.end()
        self.events.append(Closed(reason=reason, detail=detail))

    def end(self) -> None:
        """Forget everything that is under way."""
        self.move(Trigger.END)
        self.state = State.ENDED
        self.outbox.clear()
        self.sender = Sender(self.options, self.local_initial_tsn)
        self.receiver = None
