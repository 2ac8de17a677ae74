"""A request of ours that waits for its answer, and when it is sent again.

     send      send          send                    send              (Rc = 7 of them)
      |--RTO--|---- 2 RTO ----|-------- 4 RTO --------|-- … --|---- Rm * RTO ----| failed

Source: RFC 8489 §6.2.1.
"""

import enum

import attrs

from wire.core import Path

__all__ = ["MAX_SENDS", "Purpose", "Transaction"]

# RFC 8489 §6.2.1: Rc, how often a request is sent, and Rm, how many RTOs to wait after the last.
MAX_SENDS = 7
_LAST_WAIT = 16


class Purpose(enum.Enum):
    """What an answer would show."""

    CHECK = "check"
    NOMINATION = "nomination"
    CONSENT = "consent"


@attrs.define(kw_only=True)
class Transaction:
    """A Binding Request on its way.

    Attributes:
        path: where it was sent, and where the answer has to come from.
        purpose: what an answer would show.
        data: the request, to send it again unchanged.
        rto: the first interval between two sendings, in seconds.
        sent: when it was sent first.
        sends: how often it was sent.
        due: when it is sent again, or has failed if it was sent often enough.
    """

    path: Path
    purpose: Purpose
    data: bytes = attrs.field(repr=False)
    rto: float
    sent: float
    sends: int = 1
    due: float

    def send_again(self, now: float) -> bool:
        """Note another sending; returns False when it has failed instead."""
        # RFC 7675 §5.1: each STUN binding request for consent is transmitted once only.
        if self.sends == MAX_SENDS or self.purpose is Purpose.CONSENT:
            return False
        # RFC 8489 §6.2.1: starting with an interval of RTO, doubling after each retransmission.
        self.due = now + (self.rto * 2**self.sends if self.sends + 1 < MAX_SENDS else self.rto * _LAST_WAIT)
        self.sends += 1
        return True

    def cancel(self, now: float) -> None:
        """Send it no more, and wait for an answer that may still come (RFC 8445 §7.3.1.4)."""
        self.sends = MAX_SENDS
        self.due = now + self.rto * _LAST_WAIT

    def round_trip_time(self, now: float) -> float | None:
        """Seconds from sending to now; None when nobody can tell which sending was answered (Karn's algorithm)."""
        return now - self.sent if self.sends == 1 else None
