"""From RTP packets to audio packets: which codec, how long, how late, and what else is inside.

Every authentic packet takes a sequence number, so each comes out in some form: as audio, or as a packet that only
counts. Redundant audio comes out as several; keys go their own way.
"""

from collections.abc import Mapping

from transceiver.audio.audio_packet import AudioPacket, DropReason
from transceiver.audio.decoders import CLOCKS
from transceiver.audio.delay_estimate import DelayEstimate
from transceiver.audio.jitter_buffer import JitterBuffer
from transceiver.audio.media_time import TICKS
from transceiver.audio.opus_packet import check_packet
from transceiver.audio.red import RedBlock, parse_red
from transceiver.audio.telephone_event import TelephoneEvents
from wire.core import Drops
from wire.errors import MalformedError

__all__ = ["Depacketizer"]

_RED = "red"
_TELEPHONE_EVENT = "telephone-event"
_MASK = 0xFFFF_FFFF


class Depacketizer:
    """Sorts one source's packets into a jitter buffer.

    Args:
        codecs: lower-case codec name by negotiated payload type.
        clock_rates: RTP clock in Hz by payload type, for telephone events; without one, that of the audio.
        buffer: where audio goes.
        delay: where its lateness is measured.
        events: where keys go.
        drops: where it is counted what was not used.

    Attributes:
        received: how many packets of audio came.
    """

    def __init__(
        self,
        *,
        codecs: Mapping[int, str],
        clock_rates: Mapping[int, int],
        buffer: JitterBuffer,
        delay: DelayEstimate,
        events: TelephoneEvents,
        drops: Drops,
    ) -> None:
        self.received = 0
        self._codecs = codecs
        self._clock_rates = clock_rates
        self._buffer = buffer
        self._delay = delay
        self._events = events
        self._drops = drops
        self._clock = 8000  # of the last audio packet
        self._duration = TICKS // 50  # of the last audio packet

    def receive(
        self, payload_type: int, sequence: int, timestamp: int, marker: bool, payload: bytes, now: float
    ) -> None:
        """Take one authentic RTP packet.

        Args:
            payload_type: 0 to 127.
            sequence: RTP sequence number, 16 bits.
            timestamp: RTP timestamp, 32 bits.
            marker: the marker bit.
            payload: without padding.
            now: when it came, in seconds, monotonic.
        """
        buffer = self._buffer
        number = buffer.numbers.unwrap(sequence)
        codec = self._codecs.get(payload_type)
        if codec == _RED:
            codec, payload = self._unpack(number, timestamp, payload, now)
        elif codec is None:
            self._drops[DropReason.PAYLOAD_TYPE] += 1
        if codec in CLOCKS and payload:
            duration = _duration_of(codec, payload)
            if not duration:
                # Its time passes all the same.
                self._drops[DropReason.UNDECODABLE] += 1
                payload = b""
                duration = self._duration
            self._duration = duration
            self._clock = clock = CLOCKS[codec]
            self.received += 1
            lateness = self._delay.add(timestamp, clock, now, number == buffer.numbers.last)
            buffer.insert(AudioPacket(number, timestamp, marker, codec, payload, duration, now, lateness), now)
            return
        if codec == _TELEPHONE_EVENT:
            self._events.receive(timestamp, payload, self._event_clock(payload_type), now, marker=marker)
        # It has taken a sequence number, so nobody is to wait for it. So has a packet of nothing but padding, which
        # browsers send to probe for bandwidth: it has the timestamp of the one before, and no time of its own.
        buffer.insert(AudioPacket(number, timestamp, marker, "", b"", 0, now, 0.0), now)

    def _event_clock(self, payload_type: int) -> int:
        # RFC 4733 §2.1: events have the timestamps of the audio that they are part of.
        return self._clock_rates.get(payload_type) or self._clock

    # -- redundant audio

    def _unpack(self, number: int, timestamp: int, payload: bytes, now: float) -> tuple[str, bytes]:
        """Use the copies in redundant audio for what is missing, and return codec and payload of the packet's own."""
        try:
            *copies, own = parse_red(payload)
        except MalformedError:
            self._drops[DropReason.MALFORMED_RED] += 1
            return "", b""
        self._use_copies(copies, number, timestamp, now)
        codec = self._codecs.get(own.payload_type, "")
        if codec in ("", _RED):
            self._drops[DropReason.PAYLOAD_TYPE] += 1
            return "", b""
        return codec, own.payload

    def _use_copies(self, copies: list[RedBlock], number: int, timestamp: int, now: float) -> None:
        missing: list[AudioPacket] = []
        following_timestamp = timestamp
        for copy in reversed(copies):
            codec = self._codecs.get(copy.payload_type, "")
            copy_timestamp = (timestamp - copy.timestamp_offset) & _MASK
            if codec == _TELEPHONE_EVENT:
                self._events.receive(copy_timestamp, copy.payload, self._event_clock(copy.payload_type), now)
                continue
            # RFC 2198 §3: a copy has no sequence number. It follows from the timestamps as long as one copy ends where
            # the next begins; beyond, which packet it was is a guess.
            duration = _duration_of(codec, copy.payload) if codec in CLOCKS else 0
            if not duration or (copy_timestamp + duration * CLOCKS[codec] // TICKS) & _MASK != following_timestamp:
                break
            number, following_timestamp = number - 1, copy_timestamp
            if self._buffer.is_missing(number):
                missing.append(
                    AudioPacket(number, copy_timestamp, False, codec, copy.payload, duration, now, 0.0, True)
                )
        for packet in reversed(missing):
            self._buffer.insert(packet, now)


def _duration_of(codec: str, payload: bytes) -> int:
    """Return how long a payload is, in ticks; 0 if it is none of its codec's."""
    if codec != "opus":
        return len(payload) * (TICKS // CLOCKS[codec])
    try:
        return check_packet(payload)
    except MalformedError:
        return 0
