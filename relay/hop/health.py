"""How a transceiver is doing, as its relay measures it: a PING each second, and what came of the last sixty.

More PINGs are sent while nothing else is heard (`relay.hop.suspicion`); they count as all.

A PING waits in the transceiver's socket like a client's datagram, and is answered in the same loop: so what is lost
and how long it takes is what calls suffer, both ways of the hop and the transceiver's own lateness included.
"""

import attrs

__all__ = ["GRACE", "PING_COUNT", "PONG_TIMEOUT", "LinkHealth", "LinkMeter"]

PING_COUNT = 60
"""How many PINGs are looked back at."""
PONG_TIMEOUT = 1.0
"""Seconds after which a PING without its PONG counts as lost, also if one comes later."""
_WEIGHT, _VARIATION_WEIGHT = 1 / 8, 1 / 4
"""RFC 6298 §2: how far one measurement moves the smoothed round trip, and its variation."""
GRACE = 0.04
_FIRST_GRACE = 0.25
_MOST_VARIATION = 0.1
"""Seconds: a PONG is not overdue sooner; not sooner before a first one has come; and this much later at most."""


@attrs.frozen(kw_only=True)
class LinkHealth:
    """What is known of a link.

    Attributes:
        loss: share of the last PINGs that brought no PONG in time, 0 to 1; 0 while there is nothing to tell.
        pings: how many PINGs that is of.
        round_trip: smoothed, in seconds; None before the first PONG.
        missed: how many of the last PINGs in a row brought none.
        is_suspected: it is held for dead.
    """

    loss: float
    round_trip: float | None
    missed: int
    pings: int = 0
    is_suspected: bool = False


@attrs.define
class _Sent:
    """A PING, and whether it was answered in time."""

    when: float
    is_answered: bool = False


class LinkMeter:
    """Counts the PINGs and PONGs of a link."""

    def __init__(self) -> None:
        self._number = 0
        self._sent: dict[int, _Sent] = {}
        self._round_trip: float | None = None
        self._variation = 0.0
        self._disregarded = float("-inf")

    def ping(self, now: float) -> int:
        """Note that a PING leaves; return its number."""
        self._number = self._number + 1 & 0xFFFF_FFFF
        if len(self._sent) >= PING_COUNT:
            del self._sent[next(iter(self._sent))]
        self._sent[self._number] = _Sent(now)
        return self._number

    def pong(self, number: int, now: float) -> bool:
        """Note that a PONG came; return whether it was waited for."""
        sent = self._sent.get(number)
        if sent is None or sent.is_answered or now - sent.when > PONG_TIMEOUT:
            return False
        sent.is_answered = True
        took = now - sent.when
        before = self._round_trip
        if before is None:
            self._round_trip, self._variation = took, took / 2
        elif sent.when >= self._disregarded:
            self._variation += _VARIATION_WEIGHT * (abs(took - before) - self._variation)
            self._round_trip = before + _WEIGHT * (took - before)
        return True

    def disregard(self, until: float) -> None:
        """Measure nothing by PINGs that left before: the transceiver was paused, and answers them all at once."""
        self._disregarded = until

    @property
    def grace(self) -> float:
        """How long a PONG may take before something is wrong, in seconds, bounded on both sides."""
        if self._round_trip is None:
            return _FIRST_GRACE
        return max(GRACE, self._round_trip + min(4 * self._variation, _MOST_VARIATION))

    def health(self, now: float, *, is_suspected: bool = False) -> LinkHealth:
        """Tell how the link has been."""
        told = [sent.is_answered for sent in self._sent.values() if sent.is_answered or now - sent.when > PONG_TIMEOUT]
        missed = next((count for count, answered in enumerate(reversed(told)) if answered), len(told))
        return LinkHealth(
            loss=told.count(False) / len(told) if told else 0.0,
            round_trip=self._round_trip,
            missed=missed,
            pings=len(told),
            is_suspected=is_suspected,
        )
