"""Transport-wide feedback: telling the sender when each of its packets arrived.

The sender's bandwidth estimation lives on it. It numbers all its packets of a transport, whatever their SSRC; we
note when each number arrived, and pack what is new into a feedback packet every 50 to 250 ms.

Memory is bounded: arrivals are forgotten between one and two times half a second after they were reported, all that
came in that time at once; and if nobody asks for feedback, the recorder starts over after `MAX_ARRIVALS`.

Source: draft-holmer-rmcat-transport-wide-cc-extensions-01 §2.
"""

from collections.abc import Iterable

from srtp.rtcp.transport_feedback import DELTA_SECONDS, MAX_DELTA, MIN_DELTA, TransportFeedback

__all__ = ["HISTORY_SECONDS", "MAX_ARRIVALS", "MAX_REORDERING", "MAX_SPAN", "ArrivalRecorder"]

HISTORY_SECONDS = 0.5
"""How long a reported arrival is remembered at least, so that a late packet is reported among its neighbours."""

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

    __slots__ = (
        "_arrivals",
        "_clock_offset",
        "_former",
        "_highest",
        "_next",
        "_since",
        "feedback_count",
        "media_ssrc",
        "sender_ssrc",
    )

    def __init__(self, sender_ssrc: int, media_ssrc: int, feedback_count: int = 0, clock_offset: float = 0.0) -> None:
        self.sender_ssrc = sender_ssrc
        self.media_ssrc = media_ssrc
        self.feedback_count = feedback_count
        self._clock_offset = clock_offset
        # By unwrapped number, since some time, and of the time before. All from `_next` on are still to be reported.
        self._arrivals: dict[int, float] = {}
        self._former: dict[int, float] = {}
        self._since = 0.0
        self._highest = -1
        self._next = 0

    def arrived(self, packets: Iterable[tuple[int | None, float]]) -> None:
        """Note packets that SRTP has let pass, so that no number comes twice but by the sender's mistake.

        Args:
            packets: the transport-wide number, 16 bits, and when the packet came, in seconds, monotonic. Those without
                a number are passed over.
        """
        arrivals, highest = self._arrivals, self._highest
        for number, at in packets:
            if number is None:
                continue
            if highest < 0:
                # A turn above zero, so that what came before the first packet has a number too.
                highest = number + 0xFFFF
                self._next = highest + 1
            unwrapped = highest + ((number - highest + 0x8000) & 0xFFFF) - 0x8000
            if unwrapped > highest:
                highest = unwrapped
            elif unwrapped in arrivals or unwrapped in self._former:
                continue
            elif unwrapped < self._next:
                # Late: it is told now, and its neighbours once more.
                if self._next - unwrapped > MAX_REORDERING:
                    continue
                self._next = unwrapped
            if len(arrivals) >= MAX_ARRIVALS:
                arrivals.clear()
                self._next = unwrapped
            arrivals[unwrapped] = at
        self._highest = highest

    def feedback(self, now: float) -> TransportFeedback | None:
        """Pack what has arrived and was not reported yet.

        What does not fit one packet, because of a gap in time or in numbers, is left for the next: call until there
        is none.

        Args:
            now: in seconds, monotonic.
        """
        arrivals, base = self._arrivals, self._next
        if base > self._highest:
            return None  # all that has arrived was told
        first = base
        if base not in arrivals:
            later = min((number for number in arrivals if number > base), default=None)
            if later is None:
                return None
            first = later
            if first - base >= MAX_SPAN:
                base = first  # a gap that does not fit is skipped: a sender that lost so much knows it
        offset = self._clock_offset
        reference_time = round((arrivals[first] + offset) * _TICKS_PER_SECOND) >> 8
        ticks = reference_time << 8
        deltas: list[int | None] = []
        for number in range(base, min(self._highest + 1, base + MAX_SPAN)):
            at = arrivals.get(number)
            if at is None and (at := self._former.get(number)) is None:
                deltas.append(None)
                continue
            delta = round((at + offset) * _TICKS_PER_SECOND) - ticks
            if not MIN_DELTA <= delta <= MAX_DELTA:
                break
            deltas.append(delta)
            ticks += delta
        while deltas[-1] is None:
            deltas.pop()  # what is missing is lost only when something behind it has come
        self._next = base + len(deltas)
        if self._next > self._highest and now >= self._since + HISTORY_SECONDS:
            self._former, self._arrivals, self._since = arrivals, {}, now
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
