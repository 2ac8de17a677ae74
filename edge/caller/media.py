"""A call's audio once it has keys: SRTP around `audio`, RTCP from `reports`."""

from collections import Counter
from collections.abc import Iterator

from edge.caller.audio import InboundAudio, OutboundAudio
from edge.caller.opus_file import SAMPLE_RATE
from edge.caller.progress import DropReason
from edge.caller.reports import Reports
from srtp.session import SrtpSession
from wire.core import Drops

__all__ = ["Media"]

_PROBE_EVERY = 25
"""Packets between two measurements of the echo."""

_ROUNDING = 0.0005
"""Seconds that a packet may be early: sums of floats must not delay it by a whole tick."""


class Media:
    """Both directions of a call's RTP and RTCP.

    Args:
        srtp: protects them.
        outbound: what we say.
        inbound: what we hear.
        cname: our name in RTCP.
        clock_offset: what to add to `now` for seconds since 1970.
        now: the present; audio is due from now on.

    Attributes:
        outbound: what we say.
        inbound: what we hear.
        reports: RTCP.
        heard_at: when the first audio came; None before.
    """

    __slots__ = ("_drops", "_due", "_srtp", "heard_at", "inbound", "outbound", "reports")

    def __init__(
        self,
        srtp: SrtpSession,
        outbound: OutboundAudio,
        inbound: InboundAudio,
        *,
        cname: str,
        clock_offset: float,
        now: float,
    ) -> None:
        self._srtp = srtp
        self._due = now
        self._drops: Drops = Counter()
        self.outbound = outbound
        self.inbound = inbound
        self.reports = Reports(outbound, inbound, cname=cname, clock_offset=clock_offset, now=now)
        self.heard_at: float | None = None

    @property
    def drops(self) -> Drops:
        """Packets that were not used, by reason."""
        return self._drops + self._srtp.drops

    def audio_to_send(self, due: float, now: float) -> Iterator[bytes]:
        """Make the packets that are due: the hot path of a load test.

        Args:
            due: the moment for which packets are made; even steps make an even stream.
            now: the present, which may be a little later.
        """
        outbound = self.outbound
        while self._due <= due + _ROUNDING:
            packet = outbound.next_packet(now)
            if not outbound.source.packet_count % _PROBE_EVERY:
                self.inbound.probe.sent(outbound.payload, now)
            self._due += outbound.samples / SAMPLE_RATE
            yield self._srtp.protect_rtp(packet)

    def receive_rtp(self, data: bytes, now: float) -> bool:
        """Take a datagram that is RTP by its first bytes; True if it was the first audio of the call."""
        packet = self._srtp.unprotect_rtp(data)
        if packet is None:
            return False
        self.inbound.receive(packet, now)
        if self.heard_at is not None or self.inbound.statistics is None:
            return False
        self.heard_at = now
        return True

    def receive_rtcp(self, data: bytes, now: float) -> None:
        """Take a datagram that is RTCP by its first bytes."""
        packet = self._srtp.unprotect_rtcp(data)
        if packet is not None and not self.reports.receive(packet, now):
            self._drops[DropReason.MALFORMED_RTCP] += 1

    def report(self, now: float) -> bytes:
        """Make the report that is due."""
        return self._srtp.protect_rtcp(self.reports.report(now))

    def goodbye(self, now: float) -> bytes:
        """Make the last report."""
        return self._srtp.protect_rtcp(self.reports.goodbye(now))
