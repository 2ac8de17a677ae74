"""The RTCP that we send: how the client is received, what was sent to it, and when each packet of its arrived.

What is told of packets is worked out when it is told. A packet is only noted when it comes, for what it would change in
statistics and arrivals has left the processor's caches since this call's last packet; of a dozen in a row, only the
first finds it so.

Source: RFC 3550 §6; RFC 5506; draft-holmer-rmcat-transport-wide-cc-extensions-01 (feedback for the whole transport).
"""

from collections.abc import Iterable, Iterator, Mapping

from srtp.extensions import NumberReader
from srtp.feedback import ArrivalRecorder
from srtp.reception import Arrival, ReceptionState, ReceptionStatistics
from srtp.rtcp.compound import Packet, serialize_compound
from srtp.rtcp.goodbye import Goodbye
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.source_description import SourceDescription
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.sending import RtpSource
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from wire.core import Entropy

__all__ = ["MAX_NOTED", "Reports"]

MAX_NOTED = 64
"""How many packets of a source are noted before they are counted: some more than come between two reports."""


class Reports:
    """Makes the reports of one call.

    Args:
        outbound: our source.
        description: what was negotiated.
        options: report intervals.
        entropy: source of unpredictable bytes.
        now: monotonic seconds.
        unix_time: wall clock at `now`, for the NTP time of sender reports.

    Attributes:
        packets_in: packets that were counted.
        noted: what has come and is not counted yet, by the client's SSRC; whoever receives packets appends them, and
            asks for `count` when there are `MAX_NOTED` of a source.
        due: when `take_due` has something; a plain attribute, as it is looked at fifty times a second.
    """

    def __init__(
        self,
        *,
        outbound: RtpSource,
        description: MediaDescription,
        options: SessionOptions,
        entropy: Entropy,
        now: float,
        unix_time: float,
    ) -> None:
        self.packets_in = 0
        self.noted: dict[int, list[Arrival]] = {}
        number_id = description.transport_cc_id
        self._transport_numbers = None if number_id is None else NumberReader(number_id, 2)
        self._sources: dict[int, ReceptionStatistics] = {}
        self._arrivals: ArrivalRecorder | None = None  # none before the first, and when no such feedback is negotiated
        self._outbound = outbound
        self._description = description
        self._name = SourceDescription.of_cname(description.ssrc, description.cname)
        self._options = options
        self._entropy = entropy
        self._unix_offset = unix_time - now
        self._report_at = now + self._random_interval()
        self._feedback_at = now + options.feedback_interval
        self.due = min(self._report_at, self._feedback_at)
        # Of another process that has reported before us.
        self._resumed: dict[int, ReceptionState] = {}
        self._is_exact = True
        self._feedback_count = 0
        self._clock_offset = 0.0

    def add_source(self, ssrc: int, clock_rate: int, sequence_number: int, timestamp: int, now: float) -> list[Arrival]:
        """Report on one more of the client's sources, of which SrtpSession lets only a few begin.

        Args:
            ssrc: the source.
            clock_rate: of its timestamps, in Hz.
            sequence_number: of its first packet here, 16 bits.
            timestamp: of its first packet here, 32 bits.
            now: when that came, monotonic seconds.

        Returns:
            Where its packets are noted, the first one too; see `noted`.
        """
        statistics = self._sources[ssrc] = ReceptionStatistics(ssrc=ssrc, clock_rate=clock_rate)
        resumed = self._resumed.pop(ssrc, None)
        if resumed is not None:
            statistics.resume(resumed, sequence_number, timestamp, now, is_exact=self._is_exact)
        if self._description.transport_cc_id is not None and self._arrivals is None:
            self._arrivals = ArrivalRecorder(
                sender_ssrc=self._description.ssrc,
                media_ssrc=ssrc,
                feedback_count=self._feedback_count,
                clock_offset=self._clock_offset,
            )
        noted = self.noted[ssrc] = []
        return noted

    @property
    def sources(self) -> Mapping[int, ReceptionStatistics]:
        """What is received, by the client's SSRC, up to the last packet."""
        self.count()
        return self._sources

    def count(self) -> None:
        """Count in statistics and arrivals what is noted."""
        numbers, arrivals = self._transport_numbers, self._arrivals
        for ssrc, noted in self.noted.items():
            if not noted:
                continue
            self.packets_in += len(noted)
            self._sources[ssrc].received(noted)
            if numbers is not None and arrivals is not None:
                _, _, times, headers = zip(*noted, strict=True)
                arrivals.arrived(zip(map(numbers.read, headers), times, strict=True))
            noted.clear()

    def take_due(self, now: float) -> Iterator[bytes]:
        """Make the RTCP packets that are due. A report leaves with the next feedback, where there is any."""
        report: list[Packet] = []
        if now >= self._report_at:
            self._report_at = now + self._random_interval()
            report += self._report(now)
        if now >= self._feedback_at:
            self._feedback_at = now + self._options.feedback_interval
            for feedback in self._feedback(now):
                if not report and not self._description.is_reduced_size:
                    # RFC 5506 §3.4.1: reduced size only when both sides agreed to it.
                    report += self._report(now)
                yield serialize_compound([*report, feedback])
                report.clear()
        if report:
            yield serialize_compound(report)
        self.due = self._feedback_at if self._arrivals is not None else min(self._report_at, self._feedback_at)

    def goodbye(self, now: float) -> bytes:
        """Make the RTCP packet that ends our source (RFC 3550 §6.6)."""
        return serialize_compound([*self._report(now), Goodbye(ssrcs=(self._description.ssrc,))])

    # -- moving house

    def states(self) -> tuple[ReceptionState, ...]:
        """Return how far each of the client's sources has come."""
        counted = [state for source in self.sources.values() if (state := source.state()) is not None]
        return (*counted, *self._resumed.values())

    @property
    def feedback_count(self) -> int:
        """The count of the next feedback packet, 8 bits."""
        return self._feedback_count if self._arrivals is None else self._arrivals.feedback_count

    @property
    def clock_offset(self) -> float:
        """What is added to `now`, in seconds, for the clock of the feedback packets."""
        return self._clock_offset

    def resume(
        self, states: Iterable[ReceptionState], *, feedback_count: int, clock_offset: float, is_exact: bool
    ) -> None:
        """Report on, before the first packet has come, where another process has stopped.

        Args:
            states: how far each of the client's sources had come.
            feedback_count: of the next feedback packet.
            clock_offset: what to add to `now` for the clock that its feedback packets went by.
            is_exact: whether nothing was received there after that.
        """
        self._resumed = {state.ssrc: state for state in states}
        self._feedback_count, self._clock_offset, self._is_exact = feedback_count, clock_offset, is_exact

    # -- inside

    def _report(self, now: float) -> Iterator[Packet]:
        # RFC 3550 §6.1: a compound packet begins with a report and holds the CNAME.
        blocks = [block for source in self.sources.values() if (block := source.report_block(now)) is not None]
        if self._outbound.packet_count:
            yield self._outbound.sender_report(now + self._unix_offset, now, blocks)
        else:
            yield ReceiverReport(ssrc=self._description.ssrc, report_blocks=tuple(blocks))
        yield self._name

    def _feedback(self, now: float) -> Iterator[TransportFeedback]:
        self.count()
        arrivals = self._arrivals
        while arrivals is not None and (feedback := arrivals.feedback(now)) is not None:
            yield feedback

    def _random_interval(self) -> float:
        # RFC 3550 §6.2: between half and one and a half of the mean, so that many calls do not report together.
        return self._options.report_interval * (0.5 + self._entropy(1)[0] / 255)
