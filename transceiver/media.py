"""RTP and RTCP of an established session: unprotect, count, hand on, protect. What is reported is in `reports`.

Audio is handed to one of two: a packet backend, which answers a packet with a packet, or the call's voice, which turns
packets into PCM and PCM into packets.

`receive_rtp` is the hottest code of a transceiver: it runs for each packet of each call, so it works on offsets and
plain numbers where the rest of the project has records.
"""

import enum
from collections import Counter
from collections.abc import Callable, Mapping

from srtp.reception import Arrival
from srtp.rtcp.compound import Packet, parse_compound
from srtp.rtcp.receiver_report import ReceiverReport
from srtp.rtcp.report_block import ReportBlock
from srtp.rtcp.sender_report import SenderReport
from srtp.rtcp.transport_feedback import TransportFeedback
from srtp.rtp import read_header
from srtp.sending import RtpSource
from srtp.session import MAX_PACKET, SrtpSession
from transceiver.audio.speech_queue import SpeechQueue
from transceiver.backends.contract import PacketBackend
from transceiver.backends.echo import PACKET_SECONDS, Echo
from transceiver.backends.silence import Silence
from transceiver.losses import PacketCounts
from transceiver.media_description import MediaDescription
from transceiver.options import SessionOptions
from transceiver.reports import MAX_NOTED, Reports
from transceiver.timeline import Step, Timeline
from transceiver.voice import Voice
from wire.core import Drops, Entropy
from wire.errors import CeilingReached, LocalProtocolError, MalformedError

__all__ = ["DropReason", "Media"]


class DropReason(enum.StrEnum):
    """Why an authentic packet was not used, or one of ours not sent."""

    MALFORMED_RTP = "rtp-malformed"
    MALFORMED_RTCP = "rtcp-malformed"
    PAYLOAD_TYPE = "payload-type-not-negotiated"
    INDEX_USED = "index-used"
    """Its echo would fall on a number that was used: a late packet of an earlier source of the client's."""
    TOO_LONG = "too-long"
    """Its echo would not fit a datagram once it is protected."""
    CEILING = "ceiling"
    """A packet of ours: another process may use its index with the same key (`handover.ceilings`)."""


class Media:
    """The media of one established session.

    Args:
        srtp: protects and unprotects, keyed from DTLS.
        description: what was negotiated.
        timeline: where the first audio in and out is noted.
        entropy: source of unpredictable bytes.
        now: monotonic seconds.
        unix_time: wall clock at `now`, for the NTP time of sender reports.
        options: report intervals.
        speech: what is to be said to the caller; with it the call has a voice, without it an echo.
        hears_at: sample rate in Hz of the PCM that is made of the caller's audio.

    Attributes:
        drops: authentic packets that were not used, by `DropReason`.
        voice: PCM both ways; None when the call has an echo.
    """

    def __init__(
        self,
        *,
        srtp: SrtpSession,
        description: MediaDescription,
        timeline: Timeline,
        entropy: Entropy,
        now: float,
        unix_time: float,
        options: SessionOptions,
        speech: SpeechQueue | None = None,
        hears_at: int = 24000,
    ) -> None:
        self.drops: Drops = Counter()
        self._srtp = srtp
        self._description = description
        self._clock_rates = description.clock_rates
        self._timeline = timeline
        self._unix_offset = unix_time - now
        self._outbound = RtpSource.start(entropy, ssrc=description.ssrc)
        self._backend: PacketBackend = Echo(self._outbound) if description.sends else Silence()
        self.voice = (
            None
            if speech is None
            else Voice(
                description=description,
                source=self._outbound,
                speech=speech,
                hears_at=hears_at,
                options=options.voice,
                now=now,
            )
        )
        self._reports = Reports(
            outbound=self._outbound,
            description=description,
            options=options,
            entropy=entropy,
            now=now,
            unix_time=unix_time,
        )
        self._noted = self._reports.noted

    @property
    def srtp_drops(self) -> Drops:
        """What SRTP and SRTCP refused, by reason."""
        return self._srtp.drops

    def opening(self, now: float) -> bytes | None:
        """Return the SRTP packet that opens our audio, if any: 20 ms of silence, once the client is authenticated.

        It starts the client's receiver (its jitter buffer, its decoder, the track's `unmute`) a round trip before an
        echo could come back.
        """
        if not self._description.sends:
            return None
        payload_type, payload = self._description.opening
        outbound = self._outbound
        outbound.clock_rate = self._clock_rates[payload_type]
        self._timeline.mark(Step.FIRST_AUDIO_OUT, now)
        return self._sealed(self._srtp.protect_rtp, outbound.packet(payload_type, payload, outbound.timestamp, now))

    # -- the hot path

    def receive_rtp(self, data: bytes, now: float) -> bytes | None:
        """Take one SRTP packet.

        Returns:
            The SRTP packet to send back; empty when there is none; None when the packet was not authentic.
        """
        packet = self._srtp.unprotect_rtp(data)
        if packet is None:
            return None
        header = read_header(packet)
        if header is None:
            self.drops[DropReason.MALFORMED_RTP] += 1
            return b""
        marker_and_type, sequence, timestamp, ssrc, start, end = header
        if marker_and_type & 0x7F not in self._clock_rates:
            self.drops[DropReason.PAYLOAD_TYPE] += 1
            return b""
        noted = self._noted.get(ssrc)
        if noted is None:
            noted = self._new_source(ssrc, marker_and_type & 0x7F, sequence, timestamp, now)
        noted.append((sequence, timestamp, now, packet[:start]))
        if len(noted) >= MAX_NOTED:
            self._reports.count()
        if self.voice is not None:
            self.voice.receive(ssrc, marker_and_type, sequence, timestamp, packet[start:end], now)
            return b""
        reply = self._backend.reply(packet, start, end, marker_and_type, sequence, timestamp, ssrc)
        if reply is None:
            return b""
        try:
            protected = self._srtp.protect_rtp(reply)
        except CeilingReached:
            self.drops[DropReason.CEILING] += 1
            return b""
        except LocalProtocolError:
            self.drops[DropReason.INDEX_USED if len(reply) <= MAX_PACKET else DropReason.TOO_LONG] += 1
            return b""
        outbound = self._outbound
        if not outbound.packet_count:
            self._timeline.mark(Step.FIRST_AUDIO_OUT, now)
        outbound.packet_count += 1
        outbound.octet_count += end - start
        outbound.sent_at = now
        return protected

    def _new_source(self, ssrc: int, payload_type: int, sequence: int, timestamp: int, now: float) -> list[Arrival]:
        self._timeline.mark(Step.FIRST_AUDIO_IN, now)
        clock_rate = self._clock_rates[payload_type]
        if self.voice is None:
            self._prepare_echo(clock_rate, now)
        return self._reports.add_source(ssrc, clock_rate, sequence, timestamp, now)

    def _prepare_echo(self, clock_rate: int, now: float) -> None:
        outbound = self._outbound
        outbound.clock_rate = clock_rate  # what goes back ticks like what came
        if outbound.sent_at is not None:
            # The pause since our last packet passes on the media's clock too; the echo adds the time of one packet.
            pause = round((now - outbound.sent_at - PACKET_SECONDS) * clock_rate)
            outbound.timestamp = (outbound.timestamp + max(pause, 0)) & 0xFFFF_FFFF

    # -- RTCP

    def receive_rtcp(self, data: bytes, now: float) -> bool:
        """Take one SRTCP packet.

        Returns:
            Whether it was authentic.
        """
        packet = self._srtp.unprotect_rtcp(data)
        if packet is None:
            return False
        try:
            for part in parse_compound(packet):
                self._handle_rtcp(part, now)
        except MalformedError:
            self.drops[DropReason.MALFORMED_RTCP] += 1
        return True

    def _handle_rtcp(self, packet: Packet, now: float) -> None:
        match packet:
            case SenderReport():
                statistics = self._reports.sources.get(packet.ssrc)
                if statistics is not None:
                    statistics.sender_reported(packet, now)
                self._handle_report_blocks(packet.report_blocks, now)
            case ReceiverReport():
                self._handle_report_blocks(packet.report_blocks, now)
            case TransportFeedback():
                if self.voice is not None:
                    self.voice.transport_reported(packet, now)
            case _:
                pass  # SDES and BYE tell nothing that DTLS and ICE do not tell more surely

    def _handle_report_blocks(self, blocks: tuple[ReportBlock, ...], now: float) -> None:
        outbound = self._outbound
        for block in blocks:
            outbound.peer_reported(block, now + self._unix_offset)
            if self.voice is not None and block.ssrc == outbound.ssrc:
                self.voice.peer_reported(outbound.fraction_lost, outbound.round_trip_time, now)

    # -- what is due

    def handle_timeout(self, now: float) -> list[bytes]:
        """Return the SRTP and SRTCP packets that are due."""
        packets: list[bytes] = []
        if self.voice is not None and (packet := self.voice.tick(now)) is not None:
            try:
                packets.append(self._srtp.protect_rtp(packet))
            except CeilingReached:
                self.drops[DropReason.CEILING] += 1
        if now >= self._reports.due:
            sealed = [self._sealed(self._srtp.protect_rtcp, report) for report in self._reports.take_due(now)]
            packets += [packet for packet in sealed if packet is not None]
        return packets

    def _sealed(self, protect: Callable[[bytes], bytes], packet: bytes) -> bytes | None:
        """Protect a packet; None when its index is not ours to use, which is counted."""
        try:
            return protect(packet)
        except CeilingReached:
            self.drops[DropReason.CEILING] += 1
            return None

    def next_timeout(self) -> float:
        """When the next report is due, or the next piece of audio."""
        reports, voice = self._reports.due, self.voice
        return reports if voice is None or reports < voice.due else voice.due

    # -- the end

    def goodbye(self, now: float) -> list[bytes]:
        """Return the SRTCP packets that end our source."""
        packet = self._sealed(self._srtp.protect_rtcp, self._reports.goodbye(now))
        return [] if packet is None else [packet]

    def close(self) -> None:
        """Free the codecs, which have memory that the garbage collector knows nothing of."""
        if self.voice is not None:
            self.voice.close()

    # -- state for others

    @property
    def packets_in(self) -> int:
        """Audio packets of the client's."""
        self._reports.count()
        return self._reports.packets_in

    @property
    def round_trip_time(self) -> float | None:
        """In seconds, by the client's reports; None before the first."""
        return self._outbound.round_trip_time

    @property
    def peer_jitter(self) -> float:
        """Of our packets at the client, in seconds."""
        return self._outbound.peer_jitter

    @property
    def packet_counts(self) -> PacketCounts:
        """How many packets there were both ways, and how many of them arrived."""
        sources, outbound = self._reports.sources.values(), self._outbound
        return PacketCounts(
            expected=sum(source.expected_count for source in sources),
            received=sum(source.received_count for source in sources),
            sent=outbound.packet_count,
            lost=outbound.cumulative_lost,
        )

    def describe(self) -> Mapping[str, object]:
        """Tell how the media flows, in JSON types."""
        outbound = self._outbound
        return {
            **({} if self.voice is None else {"voice": self.voice.describe()}),
            "packets_in": self.packets_in,
            "packets_out": outbound.packet_count,
            "round_trip_ms": None if outbound.round_trip_time is None else round(outbound.round_trip_time * 1000, 1),
            "lost_out": outbound.cumulative_lost,
            "sources": [
                {
                    "received": source.received_count,
                    "lost": source.lost_count,
                    "jitter_ms": round(source.jitter * 1000, 2),
                }
                for source in self._reports.sources.values()
            ],
        }
