"""Transport-wide feedback: telling the sender when each of its packets arrived.

The sender's bandwidth estimation lives on it. It numbers all its packets of a transport, whatever their SSRC; we
note when each number arrived, and pack what is new into a feedback packet every 50 to 250 ms.

Memory is bounded: arrivals are forgotten half a second after they were reported, and if nobody asks for feedback,
the recorder starts over after `MAX_ARRIVALS`.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §2.
"""

from collections.abc import Iterable

from srtp.rtcp.transport_feedback import DELTA_SECONDS, TransportFeedback, fits_delta

__all__ = ["HISTORY_SECONDS", "MAX_ARRIVALS", "MAX_REORDERING", "MAX_SPAN", "ArrivalRecorder"]

HISTORY_SECONDS = 0.5
"""How long a reported arrival is remembered, so that a late packet is reported among its neighbours."""

MAX_ARRIVALS = 1024
"""How many arrivals are remembered."""

MAX_REORDERING = 25
"""How late a packet may be, in packets, to be reported after its neighbours were: half a second of audio."""

MAX_SPAN = 400
"""How many packets one feedback tells of: with two bytes each it still fits a datagram."""

_TICKS_PER_SECOND = round(1 / DELTA_SECONDS)
_REFERENCE_HALF = 1 << 23


class ArrivalRecorder:
    """Notes arrivals by transport-wide sequence number, and makes feedback of them.

    Args:
        sender_ssrc: an SSRC of ours, which reports.
        media_ssrc: an SSRC of the peer's on this transport.
        feedback_count: of the first feedback.
        clock_offset: what to add to `now` for the clock that the peer is told, in seconds.

    Attributes:
        feedback_count: of the next feedback, 8 bits.
    """

    __slots__ = ("_arrivals", "_clock_offset", "_highest", "_next", "feedback_count", "media_ssrc", "sender_ssrc")

    def __init__(self, sender_ssrc: int, media_ssrc: int, feedback_count: int = 0, clock_offset: float = 0.0) -> None:
        self.sender_ssrc = sender_ssrc
        self.media_ssrc = media_ssrc
        self.feedback_count = feedback_count
        self._clock_offset = clock_offset
        # By unwrapped number, in order of arrival. All from `_next` on are still to be reported.
        self._arrivals: dict[int, float] = {}
        self._highest = -1
        self._next = 0

    def arrived(self, packets: Iterable[tuple[bytes | None, float]]) -> None:
        """Note packets that SRTP has let pass, so that no number comes twice but by the sender's mistake.

        Args:
            packets: the element of the header extension that has the number, transport-wide and 16 bits, and when the
                packet came, in seconds, monotonic. What has no number is passed over.
        """
        arrivals, highest = self._arrivals, self._highest
        for element, at in packets:
            if element is None or len(element) != 2:
                continue
            if highest < 0:
                # A turn above zero, so that what came before the first packet has a number too.
                highest = self._next = number = (element[0] << 8 | element[1]) + 0x10000
            else:
                number = highest + (((element[0] << 8 | element[1]) - highest + 0x8000) & 0xFFFF) - 0x8000
                if number > highest:
                    highest = number
                elif number < self._next and number not in arrivals:
                    # Late: it is told now, and its neighbours once more.
                    if self._next - number > MAX_REORDERING:
                        continue
                    self._next = number
            if len(arrivals) >= MAX_ARRIVALS:
                arrivals.clear()
                self._next = number
            arrivals.setdefault(number, at)
        self._highest = highest

    def feedback(self, now: float) -> TransportFeedback | None:
        """Pack what has arrived and was not reported yet.

        What does not fit one packet, because of a gap in time or in numbers, is left for the next: call until there
        is none.

        Args:
            now: in seconds, monotonic.
        """
        if self._next > self._highest:
            return None  # all that has arrived was told
        self._forget(now - HISTORY_SECONDS)
        arrivals, base = self._arrivals, self._next
        if base not in arrivals:
            first = min((number for number in arrivals if number > base), default=None)
            if first is None:
                return None
            # A gap that does not fit is skipped: a sender that lost so much knows it.
            base = base if first - base < MAX_SPAN else first
        else:
            first = base
        offset = self._clock_offset
        reference_time = round((arrivals[first] + offset) * _TICKS_PER_SECOND) >> 8
        ticks = reference_time << 8
        deltas: list[int | None] = []
        for number in range(base, min(self._highest + 1, base + MAX_SPAN)):
            at = arrivals.get(number)
            if at is None:
                deltas.append(None)
                continue
            delta = round((at + offset) * _TICKS_PER_SECOND) - ticks
            if not fits_delta(delta):
                break
            deltas.append(delta)
            ticks += delta
        while deltas[-1] is None:
            deltas.pop()  # what is missing is lost only when something behind it has come
        self._next = base + len(deltas)
        count = self.feedback_count
        self.feedback_count = (count + 1) & 0xFF
        return TransportFeedback(
            sender_ssrc=self.sender_ssrc,
            media_ssrc=self.media_ssrc,
            base_sequence_number=base & 0xFFFF,
            reference_time=((reference_time + _REFERENCE_HALF) & (2 * _REFERENCE_HALF - 1)) - _REFERENCE_HALF,
            feedback_packet_count=count,
            deltas=tuple(deltas),
        )

    def _forget(self, before: float) -> None:
        """Forget what was reported and is old; the dict is in order of arrival, so it looks no further than needed."""
        stale = []
        for number, at in self._arrivals.items():
            if at >= before or number >= self._next:
                break
            stale.append(number)
        for number in stale:
            del self._arrivals[number]
