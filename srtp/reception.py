"""How well one source is received: loss, jitter, and the report block that tells the sender.

`received` is made for some packets at a time: its numbers are locals meanwhile, and a packet takes a quarter of a
microsecond.

Source: RFC 3550 A.1 (sequence numbers), A.3 (loss), A.8 (jitter), §6.4.1.
"""

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from srtp.rtcp.ntp import middle_bits, seconds_compact
from srtp.rtcp.report_block import ReportBlock
from srtp.rtcp.sender_report import SenderReport

__all__ = ["Arrival", "ReceptionState", "ReceptionStatistics"]

Arrival: TypeAlias = tuple[int, int, float, bytes]
"""What reports are made of: a packet's sequence number and timestamp, when it came (in seconds, monotonic), and its
header with all extensions."""

# RFC 3550 A.1: a gap this large ahead is loss, this much behind is reordering; anything between is a jump.
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100
_LARGEST_LOST = (1 << 23) - 1


@attrs.frozen(kw_only=True)
class ReceptionState:
    """How far a source has come, for reports that go on in another process.

    Attributes:
        ssrc: the source.
        clock_rate: of its RTP timestamps, in Hz.
        highest: the highest sequence number received, extended by the rollovers.
        expected_count: how many packets should have come up to it.
        received_count: how many came.
        expected_prior: the first, at the last report.
        received_prior: the second, at the last report.
        jitter: in units of the timestamp.
    """

    ssrc: int
    clock_rate: int
    highest: int
    expected_count: int
    received_count: int
    expected_prior: int
    received_prior: int
    jitter: float


class ReceptionStatistics:
    """Counts the packets of one source.

    Args:
        ssrc: the source.
        clock_rate: of its RTP timestamps, in Hz.

    Attributes:
        received_count: packets received, duplicates included; since the last jump, if there was one.
        highest: the highest sequence number received, extended by the rollovers; -1 before the first packet.
    """

    __slots__ = (
        "_after_jump",
        "_base",
        "_expected_prior",
        "_jitter",
        "_last_sender_report",
        "_last_sender_report_at",
        "_received_prior",
        "_transit",
        "clock_rate",
        "highest",
        "received_count",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int = 48000) -> None:
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self._jitter = 0.0
        self._transit = 0
        self._last_sender_report = 0
        self._last_sender_report_at = 0.0
        self._start(-1)

    def _start(self, sequence_number: int) -> None:
        self.highest = sequence_number
        self.received_count = 0
        self._base = sequence_number
        self._after_jump = -1
        self._expected_prior = 0
        self._received_prior = 0

    def received(self, arrivals: Sequence[Arrival]) -> None:
        """Count authentic packets, in the order in which they came."""
        if self.highest < 0 and arrivals:
            # DEVIATES from RFC 3550 A.1, which waits for a second packet before it believes in a source: SRTP has
            # authenticated the first one.
            sequence_number, timestamp, now, _ = arrivals[0]
            self._start(sequence_number)
            self._transit = int(now * self.clock_rate) - timestamp
        clock_rate, last_transit, jitter = self.clock_rate, self._transit, self._jitter
        highest, count = self.highest, self.received_count
        for sequence_number, timestamp, now, _ in arrivals:
            ahead = (sequence_number - highest) & 0xFFFF
            if ahead < _MAX_DROPOUT:
                highest += ahead
            elif ahead <= 0x10000 - _MAX_MISORDER:
                if not self._is_restart(sequence_number):
                    continue
                highest, count = sequence_number, 0
            count += 1
            # RFC 3550 A.8, with the difference modulo 2^32 as the timestamp is.
            transit = int(now * clock_rate) - timestamp
            difference = abs(transit - last_transit)
            if difference > 0x7FFF_FFFF:
                difference = min(difference & 0xFFFF_FFFF, -difference & 0xFFFF_FFFF)
            last_transit = transit
            jitter += (difference - jitter) / 16
        self._transit, self._jitter = last_transit, jitter
        self.highest, self.received_count = highest, count

    def state(self) -> ReceptionState | None:
        """Return what another process has to know to go on reporting; None before the first packet."""
        if self.highest < 0:
            return None
        return ReceptionState(
            ssrc=self.ssrc,
            clock_rate=self.clock_rate,
            highest=self.highest,
            expected_count=self.expected_count,
            received_count=self.received_count,
            expected_prior=self._expected_prior,
            received_prior=self._received_prior,
            jitter=self._jitter,
        )

    def resume(
        self, state: ReceptionState, sequence_number: int, rtp_timestamp: int, now: float, *, is_exact: bool
    ) -> None:
        """Go on, before the first packet is counted, where another process has stopped.

        Args:
            state: of this source.
            sequence_number: of the first packet, 16 bits.
            rtp_timestamp: of the first packet, 32 bits.
            now: when that arrived, in seconds, monotonic.
            is_exact: whether nothing that came after `state` was received elsewhere. If not, what lies between is
                taken as received: it is not the network that has lost it.
        """
        self.highest = state.highest
        self.received_count = state.received_count
        self._base = state.highest - state.expected_count + 1
        self._expected_prior, self._received_prior = state.expected_prior, state.received_prior
        self._jitter = state.jitter
        # The clock is another one: nothing can be said of how long the first packet took.
        self._transit = int(now * self.clock_rate) - rtp_timestamp
        ahead = (sequence_number - state.highest) & 0xFFFF
        if not is_exact and 0 < ahead < 0x8000:
            missed = ahead - 1
            self.highest += missed
            self.received_count += missed
            self._expected_prior, self._received_prior = self.expected_count, self.received_count

    def _is_restart(self, sequence_number: int) -> bool:
        # RFC 3550 A.1: two packets in a row after a jump mean that the other side has restarted; one alone does not.
        if sequence_number != self._after_jump:
            self._after_jump = (sequence_number + 1) & 0xFFFF
            return False
        self._start(sequence_number)
        return True

    def sender_reported(self, report: SenderReport, now: float) -> None:
        """Remember a sender report of this source, for its round-trip time.

        Args:
            report: the report.
            now: when it arrived, in seconds, monotonic.
        """
        self._last_sender_report = middle_bits(report.ntp_timestamp)
        self._last_sender_report_at = now

    @property
    def expected_count(self) -> int:
        """How many packets should have come up to the highest."""
        return self.highest - self._base + 1 if self.highest >= 0 else 0

    @property
    def lost_count(self) -> int:
        """How many packets are missing; negative when there were more duplicates than losses."""
        return self.expected_count - self.received_count

    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds."""
        return self._jitter / self.clock_rate

    def report_block(self, now: float) -> ReportBlock | None:
        """Make the block for the next report, and start the next interval.

        Args:
            now: when the report is sent, in seconds, monotonic.

        Returns:
            The block; None when nothing has come since the last one (RFC 3550 §6.4.1).
        """
        # RFC 3550 A.3.
        expected = self.expected_count
        expected_interval = expected - self._expected_prior
        received_interval = self.received_count - self._received_prior
        if received_interval <= 0:
            return None
        self._expected_prior = expected
        self._received_prior = self.received_count
        lost_interval = max(expected_interval - received_interval, 0)
        delay = seconds_compact(now - self._last_sender_report_at) if self._last_sender_report else 0
        return ReportBlock(
            ssrc=self.ssrc,
            # All lost, 256, cannot be: something was received.
            fraction_lost=lost_interval * 256 // expected_interval if lost_interval else 0,
            cumulative_lost=max(min(self.lost_count, _LARGEST_LOST), -_LARGEST_LOST - 1),
            extended_highest_sequence_number=self.highest & 0xFFFF_FFFF,
            jitter=min(int(self._jitter), 0xFFFF_FFFF),
            last_sender_report=self._last_sender_report,
            delay_since_last_sender_report=delay,
        )
