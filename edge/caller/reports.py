"""RTCP of the caller: what we send and receive, told to the server; what the server tells of us.

Source: RFC 3550 §6.1 (a report and a name in each datagram), §6.2 (how often), §6.6 (goodbye).
"""

from edge.caller.audio import InboundAudio, OutboundAudio
from srtp.rtcp.compound import Packet, parse_compound, serialize_compound
from srtp.rtcp.goodbye import Goodbye
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.source_description import SourceDescription
from srtp.rtcp.transport_feedback import TransportFeedback
from wire.errors import MalformedError

__all__ = ["Reports"]

_INTERVAL = 5.0  # RFC 3550 §6.2: the minimum that it recommends
_FIRST = 1.0


class Reports:
    """Both directions of a call's RTCP.

    Args:
        outbound: what we send.
        inbound: what we receive.
        cname: our name.
        clock_offset: what to add to `now` for seconds since 1970.
        now: the present.

    Attributes:
        next_at: when the next report is due.
        received_count: datagrams of RTCP received.
        feedback_count: transport-wide feedback packets among them.
        was_reported: the server has reported about our stream.
        said_goodbye: the server has ended its stream.
    """

    def __init__(
        self, outbound: OutboundAudio, inbound: InboundAudio, *, cname: str, clock_offset: float, now: float
    ) -> None:
        self._outbound = outbound
        self._inbound = inbound
        self._cname = cname
        self._clock_offset = clock_offset
        self.next_at = now + _FIRST
        self.received_count = 0
        self.feedback_count = 0
        self.was_reported = False
        self.said_goodbye = False

    def report(self, now: float) -> bytes:
        """Make the report that is due, and set the time of the next."""
        self.next_at = now + _INTERVAL
        return serialize_compound(self._report(now))

    def goodbye(self, now: float) -> bytes:
        """Make the last report."""
        return serialize_compound([*self._report(now), Goodbye(ssrcs=(self._outbound.source.ssrc,))])

    def _report(self, now: float) -> list[Packet]:
        statistics, source = self._inbound.statistics, self._outbound.source
        block = statistics.report_block(now) if statistics is not None else None
        report = source.sender_report(now + self._clock_offset, now, [block] if block is not None else [])
        return [report, SourceDescription.of_cname(source.ssrc, self._cname)]

    def receive(self, data: bytes, now: float) -> bool:
        """Take a datagram of RTCP that was authentic; False if it does not parse."""
        try:
            packets = parse_compound(data)
        except MalformedError:
            return False
        self.received_count += 1
        for packet in packets:
            match packet:
                case SenderReport() | ReceiverReport():
                    self._server_reported(packet, now)
                case TransportFeedback():
                    self.feedback_count += 1
                case Goodbye():
                    self.said_goodbye = True
        return True

    def _server_reported(self, report: SenderReport | ReceiverReport, now: float) -> None:
        statistics = self._inbound.statistics
        if isinstance(report, SenderReport) and statistics is not None and statistics.ssrc == report.ssrc:
            statistics.sender_reported(report, now)
        for block in report.report_blocks:
            if block.ssrc == self._outbound.source.ssrc:
                self.was_reported = True
                self._outbound.source.peer_reported(block, now + self._clock_offset)
