"""The caller's media path: a clip going out, an echo coming in.

Both ends of this run for every packet of every call of a load test, so they keep plain slots and do no work that a
report can do later.
"""

from edge.caller.opus_file import SAMPLE_RATE, Clip
from edge.caller.recording import Recording
from srtp.extensions import pack_audio_level, pack_extensions, pack_sequence_number
from srtp.reception import ReceptionStatistics
from srtp.rtp import read_header
from srtp.sending import RtpSource
from transceiver.sdp.attributes import AUDIO_LEVEL, MID, TRANSPORT_WIDE_CC
from wire.core import Entropy

__all__ = ["EchoProbe", "InboundAudio", "OutboundAudio"]

_SPEECH_LEVEL = pack_audio_level(True, 30)


class OutboundAudio:
    """Makes RTP packets of a clip, without an end.

    Args:
        clip: what to say.
        ssrc: our stream.
        payload_type: of Opus, as negotiated.
        extension_ids: header extensions in use, URI to identifier.
        entropy: for where the numbers start.

    Attributes:
        source: the stream's numbers, and what the server reports about it.
        payload: of the last packet.
        samples: how long the last packet is.
    """

    __slots__ = (
        "_clip",
        "_extension",
        "_extension_head",
        "_extension_tail",
        "_payload_type",
        "_position",
        "_timestamp",
        "_transport_sequence_number",
        "payload",
        "samples",
        "source",
    )

    def __init__(
        self, clip: Clip, *, ssrc: int, payload_type: int, extension_ids: dict[str, int], entropy: Entropy
    ) -> None:
        self._clip = clip
        self._payload_type = payload_type
        self._position = 0
        self.source = RtpSource.start(entropy, ssrc, SAMPLE_RATE)
        self._timestamp = self.source.timestamp
        self._transport_sequence_number = int.from_bytes(entropy(2), "big")
        self._extension, self._extension_head, self._extension_tail = _extension_parts(extension_ids)
        self.payload = b""
        self.samples = 0

    def next_packet(self, now: float) -> bytes:
        """Make the next RTP packet."""
        position = self._position
        self.payload = payload = self._clip.packets[position]
        self.samples = samples = self._clip.samples[position]
        self._position = position + 1 if position + 1 < len(self._clip.packets) else self._clip.restart
        extension = self._extension
        if self._extension_head:
            number = self._transport_sequence_number
            self._transport_sequence_number = number + 1
            extension = self._extension_head + pack_sequence_number(number) + self._extension_tail
        source = self.source
        timestamp = self._timestamp
        self._timestamp = timestamp + samples
        return source.packet(
            self._payload_type, payload, timestamp, now, marker=source.packet_count == 0, extension=extension
        )


def _extension_parts(ids: dict[str, int]) -> tuple[bytes, bytes, bytes]:
    """Lay out the header extension once: all of it, or what stands before and behind the transport-wide number."""
    elements = [(ids[AUDIO_LEVEL], _SPEECH_LEVEL)] if AUDIO_LEVEL in ids else []
    if MID in ids:
        elements.append((ids[MID], b"0"))
    if TRANSPORT_WIDE_CC not in ids:
        return pack_extensions(elements), b"", b""
    whole = pack_extensions([(ids[TRANSPORT_WIDE_CC], pack_sequence_number(0)), *elements])
    # Four bytes of header and one that introduces the number stand before it.
    return b"", whole[:5], whole[7:]


class EchoProbe:
    """Measures how long a packet takes to the server and back, by remembering one payload at a time.

    Attributes:
        delays: seconds, the last few hundred.
    """

    __slots__ = ("_payload", "_sent_at", "delays")

    _KEPT = 500
    _RECOGNIZABLE = 8  # bytes; packets of silence are shorter, and too much alike

    def __init__(self) -> None:
        self._payload = b""
        self._sent_at = 0.0
        self.delays: list[float] = []

    def sent(self, payload: bytes, now: float) -> None:
        """Remember a payload that is sent now."""
        if len(payload) > self._RECOGNIZABLE:
            self._payload, self._sent_at = payload, now

    def received(self, payload: bytes, now: float) -> None:
        """Look whether this is the remembered one."""
        if payload == self._payload and payload:
            self._payload = b""
            self.delays.append(now - self._sent_at)
            del self.delays[: -self._KEPT]


class InboundAudio:
    """Takes what comes back.

    Args:
        payload_type: of Opus, as negotiated.
        recording: where payloads go; None for nowhere.

    Attributes:
        statistics: of the stream, the first that appears; None before its first packet.
        probe: measures the echo.
        foreign_count: packets of other streams and payload types.
        heard_at: when the last packet came; None before the first.
    """

    __slots__ = ("_payload_type", "_recording", "_ssrc", "foreign_count", "heard_at", "probe", "statistics")

    def __init__(self, payload_type: int, recording: Recording | None) -> None:
        self._payload_type = payload_type
        self._recording = recording
        self._ssrc = -1
        self.statistics: ReceptionStatistics | None = None
        self.probe = EchoProbe()
        self.foreign_count = 0
        self.heard_at: float | None = None

    def receive(self, packet: bytes, now: float) -> None:
        """Take an RTP packet that was authentic."""
        header = read_header(packet)
        if header is None or header[0] & 0x7F != self._payload_type:
            self.foreign_count += 1
            return
        _, sequence_number, timestamp, ssrc, start, end = header
        if ssrc != self._ssrc:
            if self.statistics is not None:
                self.foreign_count += 1
                return
            self.statistics = ReceptionStatistics(ssrc, SAMPLE_RATE)
            self._ssrc = ssrc
        self.heard_at = now
        self.statistics.received([(sequence_number, timestamp, now, b"")])  # type: ignore[union-attr]  # set with _ssrc
        payload = packet[start:end]
        self.probe.received(payload, now)
        if self._recording is not None:
            self._recording.add(sequence_number, timestamp, payload)
