"""What became of our packets, by the transport-wide feedback of the peer.

Each packet carries a number; the peer tells when each arrived, on its own clock. Set against when we sent it, that
gives how long packets take, up to a constant: enough to see a queue grow.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01.
"""

from collections import deque

import attrs

from srtp.rtcp.transport_feedback import DELTA_SECONDS, REFERENCE_SECONDS, TransportFeedback

__all__ = ["MAX_HISTORY", "PacketsReported", "SendHistory"]

MAX_HISTORY = 500
"""How many packets are remembered: 10 s, far more than feedback takes."""


@attrs.frozen(kw_only=True)
class PacketsReported:
    """What one feedback says of packets that were not reported before.

    Attributes:
        count: how many packets.
        fraction_lost: how many of them did not arrive, 0 to 1.
        transit_time: average time from sending to arrival in seconds, on a clock of any offset; None if none arrived.
    """

    count: int
    fraction_lost: float
    transit_time: float | None


class SendHistory:
    """Numbers packets, and remembers when they were sent.

    Args:
        first: number of the first packet.
    """

    __slots__ = ("_next", "_reported", "_sent")

    def __init__(self, first: int = 0) -> None:
        self._next = first
        self._reported = first  # all before have been
        self._sent: deque[float] = deque(maxlen=MAX_HISTORY)

    @property
    def next_number(self) -> int:
        """Number of the next packet, never wrapped."""
        return self._next

    def sent(self, now: float) -> int:
        """Note a packet that is sent now, and return its number, 16 bits."""
        number = self._next
        self._next = number + 1
        self._sent.append(now)
        return number & 0xFFFF

    def reported(self, feedback: TransportFeedback) -> PacketsReported | None:
        """Take a feedback; None when it tells nothing new of packets of ours."""
        oldest = self._next - len(self._sent)
        # Numbers are at most half a turn behind the next one.
        first = self._next - ((self._next - feedback.base_sequence_number) & 0xFFFF)
        arrival = feedback.reference_time * REFERENCE_SECONDS
        count = arrived = 0
        total = 0.0
        for number, delta in enumerate(feedback.deltas, start=first):
            if delta is not None:
                arrival += delta * DELTA_SECONDS
            if number < max(oldest, self._reported) or number >= self._next:
                continue
            count += 1
            if delta is not None:
                arrived += 1
                total += arrival - self._sent[number - oldest]
        if not count:
            return None
        self._reported = min(first + len(feedback.deltas), self._next)
        return PacketsReported(
            count=count,
            fraction_lost=(count - arrived) / count,
            transit_time=total / arrived if arrived else None,
        )
