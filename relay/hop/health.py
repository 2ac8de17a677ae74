"""How a transceiver is doing, as its relay measures it: a PING each second, and what came of the last sixty.

A PING waits in the transceiver's socket like a client's datagram, and is answered in the same loop: so what is lost
and how long it takes is what calls suffer, both ways of the hop and the transceiver's own lateness included.
"""

import attrs

__all__ = ["PING_COUNT", "PONG_TIMEOUT", "LinkHealth", "LinkMeter"]

PING_COUNT = 60
"""How many PINGs are looked back at."""
PONG_TIMEOUT = 1.0
"""Seconds after which a PING without its PONG counts as lost, also if one comes later."""
_WEIGHT = 1 / 8
"""RFC 6298 §2: how far one measurement moves the smoothed round trip."""


@attrs.frozen(kw_only=True)
class LinkHealth:
    """What is known of a link.

    Attributes:
        loss: share of the last PINGs that brought no PONG in time, 0 to 1; 0 while there is nothing to tell.
        round_trip: smoothed, in seconds; None before the first PONG.
        missed: how many of the last PINGs in a row brought none.
    """

    loss: float
    round_trip: float | None
    missed: int


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
        self._round_trip = took if before is None else before + _WEIGHT * (took - before)
        return True

    def health(self, now: float) -> LinkHealth:
        """Tell how the link has been."""
        told = [sent.is_answered for sent in self._sent.values() if sent.is_answered or now - sent.when > PONG_TIMEOUT]
        missed = next((count for count, answered in enumerate(reversed(told)) if answered), len(told))
        return LinkHealth(
            loss=told.count(False) / len(told) if told else 0.0, round_trip=self._round_trip, missed=missed
        )
