"""One source of ours: its numbers, what it has sent, and what the peer says of it.

Source: RFC 3550 §5.1 and §6.4.1.
"""

from collections.abc import Iterable
from typing import Self

import attrs

from srtp.rtcp.ntp import middle_bits, ntp_timestamp, round_trip_time
from srtp.rtcp.report_block import ReportBlock
from srtp.rtcp.sender_report import SenderReport
from srtp.rtp import pack_packet
from wire.core import Entropy

__all__ = ["RtpSource"]


@attrs.define(kw_only=True)
class RtpSource:
    """What one of our SSRCs has sent.

    Attributes:
        ssrc: the source.
        clock_rate: of its timestamps, in Hz.
        sequence_number: of the next packet, never wrapped.
        timestamp: of the last packet; of the first one before it is sent. 32 bits.
        sent_at: when the last packet was sent; None before the first.
        packet_count: packets sent.
        octet_count: bytes of payload in them.
        round_trip_time: in seconds, by the last report that tells; None before.
        fraction_lost: by the peer's last report, 0 to 1.
        cumulative_lost: by the peer's last report.
        peer_jitter: by the peer's last report, in seconds.
        reports_from: the wall clock, in seconds since 1970, before which another process has sent the sender reports,
            by a clock of its own; None for none.
    """

    ssrc: int
    clock_rate: int = 48000
    sequence_number: int
    timestamp: int
    sent_at: float | None = None
    packet_count: int = 0
    octet_count: int = 0
    round_trip_time: float | None = None
    fraction_lost: float = 0.0
    cumulative_lost: int = 0
    peer_jitter: float = 0.0
    reports_from: float | None = None

    @classmethod
    def start(cls, entropy: Entropy, ssrc: int | None = None, clock_rate: int = 48000) -> Self:
        """Make a source with unpredictable numbers.

        Args:
            entropy: where they come from.
            ssrc: the SSRC, when signaling has announced one.
            clock_rate: of its timestamps, in Hz.
        """
        chosen = entropy(10)
        return cls(
            ssrc=int.from_bytes(chosen[:4], "big") if ssrc is None else ssrc,
            clock_rate=clock_rate,
            # RFC 3711 §3.3.1: near its rollover, a receiver that misses the first packets guesses the index wrong.
            sequence_number=int.from_bytes(chosen[4:6], "big") & 0x7FFF,
            timestamp=int.from_bytes(chosen[6:], "big"),
        )

    def packet(
        self,
        payload_type: int,
        payload: bytes,
        timestamp: int,
        now: float,
        marker: bool = False,
        extension: bytes = b"",
    ) -> bytes:
        """Make the next RTP packet, and count it.

        Args:
            payload_type: 0 to 127.
            payload: what the codec made.
            timestamp: of its first sample; wrapped to 32 bits here.
            now: when it is sent, in seconds, monotonic.
            marker: whether a talkspurt starts.
            extension: what `srtp.extensions.pack_extensions` makes.

        Raises:
            LocalProtocolError: the payload type is out of range.
        """
        timestamp &= 0xFFFF_FFFF
        number = self.sequence_number
        packet = pack_packet(payload_type, number & 0xFFFF, timestamp, self.ssrc, payload, marker, extension)
        self.sequence_number = number + 1
        self.timestamp = timestamp
        self.sent_at = now
        self.packet_count += 1
        self.octet_count += len(payload)
        return packet

    def sender_report(self, unix_time: float, now: float, report_blocks: Iterable[ReportBlock] = ()) -> SenderReport:
        """Make a report of what was sent.

        Args:
            unix_time: the wall clock, in seconds since 1970.
            now: the same instant, in seconds, monotonic.
            report_blocks: what is received; up to 31.
        """
        # RFC 3550 §6.4.1: the RTP timestamp is that of the instant of the report, not of the last packet.
        since = now - self.sent_at if self.sent_at is not None else 0.0
        return SenderReport(
            ssrc=self.ssrc,
            ntp_timestamp=ntp_timestamp(unix_time),
            rtp_timestamp=(self.timestamp + round(since * self.clock_rate)) & 0xFFFF_FFFF,
            packet_count=self.packet_count & 0xFFFF_FFFF,
            octet_count=self.octet_count & 0xFFFF_FFFF,
            report_blocks=tuple(report_blocks),
        )

    def peer_reported(self, block: ReportBlock, unix_time: float) -> None:
        """Take what the peer reports of this source; blocks of others are ignored.

        Args:
            block: a report block.
            unix_time: when it arrived, on the clock that the sender reports carry.
        """
        if block.ssrc != self.ssrc:
            return
        self.fraction_lost = block.fraction_lost / 256
        self.cumulative_lost = block.cumulative_lost
        self.peer_jitter = block.jitter / self.clock_rate
        if self.reports_from is not None:
            # Modulo 2^32 units of 1/65536 s, as in the block.
            since = block.last_sender_report - middle_bits(ntp_timestamp(self.reports_from))
            if since & 0xFFFF_FFFF >= 1 << 31:
                return
        measured = round_trip_time(unix_time, block.last_sender_report, block.delay_since_last_sender_report)
        if measured is not None:
            self.round_trip_time = measured
