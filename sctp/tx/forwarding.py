"""FORWARD TSN: telling the peer to wait no longer for what was given up.

Source: RFC 3758 §3.5.
"""

from sctp.tx.outstanding import OutstandingData

__all__ = ["Forwarding"]

_MAX_DELAY = 0.2
"""RFC 3758 §3.5 F3: any delay applied SHOULD NOT exceed 200 ms."""


class Forwarding:
    """When a FORWARD TSN is to be sent, and what it says.

    Attributes:
        is_due: whether one has to be sent.
        sent_at: when the last one was.
    """

    __slots__ = ("is_due", "sent_at")

    def __init__(self) -> None:
        self.is_due = False
        self.sent_at: float | None = None

    def take(self, outstanding: OutstandingData, room: int, now: float) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Return what it says now: the TSN, and the last message skipped of each ordered stream.

        Args:
            outstanding: what is on the way.
            room: streams that fit a packet.
            now: the present.

        Returns:
            Unwrapped numbers.
        """
        self.is_due = False
        self.sent_at = now
        skipped: dict[int, int] = {}
        for chunk in outstanding.skipped():
            message = chunk.message
            if not message.is_unordered:
                if message.stream_id not in skipped and len(skipped) >= room:
                    # C4: no more than fits a packet; the rest is told later.
                    return chunk.tsn - 1, tuple(skipped.items())
                skipped[message.stream_id] = message.stream_sequence_number
        return outstanding.advanced_peer_ack_point, tuple(skipped.items())

    def acknowledged(self, outstanding: OutstandingData, round_trip: float | None, now: float) -> None:
        """A SACK has come: see whether there is more to skip, or the last FORWARD TSN was lost.

        Args:
            outstanding: what is on the way.
            round_trip: the smoothed one, in seconds; None while it is not known.
            now: the present.
        """
        before = outstanding.advanced_peer_ack_point
        outstanding.advance()
        if not outstanding.needs_forward_tsn:
            return
        delay = min(round_trip or _MAX_DELAY, _MAX_DELAY)
        # F2: not with every SACK of the same round trip.
        if outstanding.advanced_peer_ack_point > before or self.sent_at is None or now - self.sent_at >= delay:
            self.is_due = True

    def timed_out(self, outstanding: OutstandingData) -> None:
        """T3-rtx has expired (A5)."""
        outstanding.advance()
        if outstanding.needs_forward_tsn:
            self.is_due = True
