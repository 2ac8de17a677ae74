"""From one source's packets to PCM: order, decode, fill.

`receive` sorts a packet in and decodes nothing; `take` decodes what is due. On the path of a packet that is next in
order the two take 3 µs of Python together, beside the codec's time.
"""

import array
from collections import Counter
from collections.abc import Mapping

from transceiver.audio.concealment import Concealment, VoiceDecoder
from transceiver.audio.decoders import CLOCKS, make_decoder
from transceiver.audio.delay_estimate import DelayEstimate
from transceiver.audio.jitter_buffer import AudioPacket, DropReason, JitterBuffer
from transceiver.audio.listening_options import ListeningOptions
from transceiver.audio.media_time import TICKS, MediaTime
from transceiver.audio.opus_packet import check_packet, frame_samples, has_fec
from transceiver.audio.red import parse_red
from transceiver.audio.telephone_event import DtmfReceived, TelephoneEvents
from wire.core import Drops
from wire.errors import MalformedError

__all__ = ["AudioReceiver"]

RED = "red"
TELEPHONE_EVENT = "telephone-event"

_BELIEVED_LATENESS = 0.040
_TARGET_EVERY = 32  # packets

# Less than this is how the smallest transit varies anyway, and less than anybody's patience.
_STOOD_STILL = 0.050

_MASK = 0xFFFF_FFFF
_DTX_PAYLOAD = 2  # bytes: an Opus packet that says nothing
_FEC_STEP = 120  # ticks: 2.5 ms

# Samples within this of zero are quiet enough to be left out: -50 dB of full scale.
_QUIET = 104


class AudioReceiver:
    """Listens to one source.

    Args:
        codecs: lower-case codec name by negotiated payload type: "opus", "pcmu", "pcma", "red", "telephone-event";
            others are known to be silent.
        rate: samples per second of the PCM: 8000, 12000, 16000, 24000 or 48000.
        options: how much is waited for.
        clock_rates: RTP clock in Hz by payload type, for telephone events; without one, that of the audio.

    Attributes:
        drops: what was not used, by `DropReason`.
    """

    def __init__(
        self,
        *,
        codecs: Mapping[int, str],
        rate: int,
        options: ListeningOptions | None = None,
        clock_rates: Mapping[int, int] | None = None,
    ) -> None:
        options = ListeningOptions() if options is None else options
        self.drops: Drops = Counter()
        self._codecs = codecs
        self._clock_rates = clock_rates or {}
        self._rate = rate
        self._options = options
        self._buffer = JitterBuffer(options)
        self._buffer.drops = self.drops
        self._delay = DelayEstimate(memory=options.memory, believed=_BELIEVED_LATENESS)
        self._time = MediaTime(self._delay.quantile(options.quantile))
        self._events = TelephoneEvents()
        self._events.drops = self.drops
        self._concealment = Concealment(rate)
        self._decoders: dict[str, VoiceDecoder] = {}
        self._codec = ""  # of the last audio packet
        self._last_duration = TICKS // 50
        self._missing = 0  # given up before a packet without audio
        self._is_pausing = False  # the last packet said that there is nothing to hear
        self._spare_ticks = 0  # less than a sample, left over from the last gap
        self._received = 0
        self._concealed = self._silent = self._skipped = 0  # ticks
        self._fec_recovered = self._red_recovered = 0  # packets

    # -- packets in

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
        number = self._buffer.unwrap(sequence)
        codec = self._codecs.get(payload_type)
        if codec == RED:
            codec, payload = self._unpack(number, timestamp, payload, now)
        elif codec is None:
            self.drops[DropReason.PAYLOAD_TYPE] += 1
        if codec in CLOCKS:
            self._insert(number, timestamp, marker, codec, payload, now)
            return
        if codec == TELEPHONE_EVENT:
            self._events.receive(timestamp, payload, self._event_clock(payload_type), now, marker=marker)
        # It has taken a sequence number, so nobody is to wait for it.
        self._buffer.insert(AudioPacket(number, timestamp, marker, "", b"", 0, now, 0.0), now)

    def _insert(self, number: int, timestamp: int, marker: bool, codec: str, payload: bytes, now: float) -> None:
        duration = self._duration(codec, payload)
        if not duration:
            # Its time passes all the same.
            self.drops[DropReason.UNDECODABLE if payload else DropReason.EMPTY] += 1
            payload = b""
            duration = self._last_duration
        self._last_duration = duration
        delay = self._delay
        lateness = delay.add(timestamp, CLOCKS[codec], now, is_newest=self._buffer.is_newest(number))
        if delay.risen > _STOOD_STILL:
            self._time.forgive(delay.risen)
        self._received = received = self._received + 1
        if not received % _TARGET_EVERY:
            self._time.target = delay.quantile(self._options.quantile)
        self._buffer.insert(AudioPacket(number, timestamp, marker, codec, payload, duration, now, lateness), now)

    def _unpack(self, number: int, timestamp: int, payload: bytes, now: float) -> tuple[str | None, bytes]:
        """Use the copies in redundant audio for what is missing, and return codec and payload of the packet's own."""
        try:
            *copies, own = parse_red(payload)
        except MalformedError:
            self.drops[DropReason.MALFORMED_RED] += 1
            return "", b""
        wanted: list[AudioPacket] = []
        following, following_timestamp = number, timestamp
        for copy in reversed(copies):
            codec = self._codecs.get(copy.payload_type)
            copy_timestamp = (timestamp - copy.timestamp_offset) & _MASK
            if codec == TELEPHONE_EVENT:
                self._events.receive(copy_timestamp, copy.payload, self._event_clock(copy.payload_type), now)
                continue
            # RFC 2198 §3: a copy has no sequence number. It follows from the timestamps as long as one copy ends where
            # the next begins; beyond, which packet it was is a guess.
            duration = self._duration(codec, copy.payload) if codec in CLOCKS else 0
            if not duration or codec is None:
                break
            if (copy_timestamp + duration * CLOCKS[codec] // TICKS) & _MASK != following_timestamp:
                break
            following, following_timestamp = following - 1, copy_timestamp
            if self._buffer.is_missing(following):
                wanted.append(
                    AudioPacket(following, copy_timestamp, False, codec, copy.payload, duration, now, 0.0, True)
                )
        for packet in reversed(wanted):
            self._buffer.insert(packet, now)
        codec = self._codecs.get(own.payload_type, "")
        if codec in ("", RED):
            self.drops[DropReason.PAYLOAD_TYPE] += 1
            return "", b""
        return codec, own.payload

    def _duration(self, codec: str, payload: bytes) -> int:
        """Return how long a payload is, in ticks; 0 if it is none of its codec's."""
        if codec != "opus":
            return len(payload) * (TICKS // CLOCKS[codec])
        try:
            return check_packet(payload)
        except MalformedError:
            return 0

    def _event_clock(self, payload_type: int) -> int:
        # RFC 4733 §2.1: events have the timestamps of the audio that they are part of.
        return self._clock_rates.get(payload_type) or CLOCKS.get(self._codec, 8000)

    # -- PCM out

    def take(self, now: float) -> bytes:
        """Return all PCM that is due: 16-bit little-endian mono, joining what was returned before.

        Args:
            now: seconds, monotonic.
        """
        self._events.handle_timeout(now)
        pieces: list[bytes] = []
        for packet in self._buffer.take(now):
            if packet.codec:
                self._decode(packet, pieces)
            else:
                self._missing += packet.missing
        if not pieces and self._buffer.is_idle:
            ticks = self._time.pace(now, self._patience)
            if ticks:
                self._silent += ticks
                pieces.append(self._fill(ticks))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def take_events(self) -> list[DtmfReceived]:
        """Return the keys that the caller has pressed and released since the last call; `take` notices lost ends."""
        return self._events.take()

    def next_timeout(self) -> float | None:
        """When `take` will have something to do although nothing comes; None for never."""
        due = self._buffer.deadline
        if due is None and self._buffer.is_idle:
            due = self._time.next_silence(self._patience)
        event = self._events.next_timeout()
        return event if due is None else due if event is None else min(due, event)

    @property
    def _patience(self) -> float:
        # Who has announced a pause is not waited for.
        return 0.0 if self._is_pausing else self._options.patience

    def _decode(self, packet: AudioPacket, pieces: list[bytes]) -> None:
        time = self._time
        if self._missing:
            packet.missing += self._missing
            self._missing = 0
        codec = packet.codec
        gap = time.gap_before(packet, CLOCKS[codec])
        if gap or packet.missing or time.ahead:
            self._bridge(gap, packet, pieces)
        else:
            time.settle(0, packet)
        if codec != self._codec:
            self._codec = codec
            if codec not in self._decoders:
                self._decoders[codec] = make_decoder(codec, self._rate)
        decoder = self._decoders[codec]
        self._is_pausing = len(packet.payload) <= _DTX_PAYLOAD
        self._red_recovered += packet.is_copy
        if packet.payload:
            try:
                pcm = decoder.decode(packet.payload)
            except MalformedError:
                self.drops[DropReason.UNDECODABLE] += 1
            else:
                self._concealment.heard()
                if time.ahead < packet.duration or not self._may_skip(packet, pcm):
                    pieces.append(pcm)
                return
        self._concealed += packet.duration
        pieces.append(self._fill(packet.duration))

    def _bridge(self, gap: int, packet: AudioPacket, pieces: list[bytes]) -> None:
        """Fill the time before a packet: by what the packet knows of it, by concealment, or by silence."""
        recoverable = 0
        # RFC 3551 §4.1: the marker begins a talkspurt; there was no sound before it.
        is_loss = packet.missing > 0 and not packet.marker
        if is_loss and gap > 0 and packet.codec == self._codec == "opus" and packet.payload and has_fec(packet.payload):
            recoverable = min(gap, frame_samples(packet.payload[0])) // _FEC_STEP * _FEC_STEP
        fill = self._time.settle(gap, packet, recoverable)
        if fill > recoverable:
            if is_loss:
                self._concealed += fill - recoverable
            else:
                self._silent += fill - recoverable
            pieces.append(self._fill(fill - recoverable))
        if recoverable:
            self._fec_recovered += 1
            pieces.append(self._decoders["opus"].recover(packet.payload, recoverable * self._rate // TICKS))

    def _fill(self, ticks: int) -> bytes:
        samples, self._spare_ticks = divmod(ticks * self._rate + self._spare_ticks, TICKS)
        return self._concealment.fill(self._decoders.get(self._codec), samples, is_comfort=self._is_pausing)

    def _may_skip(self, packet: AudioPacket, pcm: bytes) -> bool:
        """Leave out a quiet packet if more was handed on than the caller has said, and the network is not to blame."""
        # A late packet may be from behind a stall that goes on; or it was the sender's clock that stood still.
        if packet.lateness > self._time.target:
            return False
        samples = array.array("h", pcm)
        if max(samples) > _QUIET or min(samples) < -_QUIET:
            return False
        self._time.skip(packet.duration)
        self._skipped += packet.duration
        return True

    # -- state for others

    def describe(self) -> Mapping[str, object]:
        """Tell how the caller is heard, in JSON types."""
        buffer = self._buffer
        return {
            "packets": self._received,
            "lost": buffer.lost,
            "late": self.drops[DropReason.LATE],
            "concealed_ms": _ms(self._concealed),
            "recovered_fec": self._fec_recovered,
            "recovered_red": self._red_recovered,
            "silence_ms": _ms(self._silent),
            "skipped_ms": _ms(self._skipped),
            "ahead_ms": _ms(self._time.ahead),
            "clock_jumps": self._time.jumps,
            "jitter_target_ms": round(self._time.target * 1000),
            "gap_wait_ms": round(buffer.wait * 1000),
            "delay_added_ms": round(buffer.waited * 1000 / self._received, 2) if self._received else 0.0,
            "longest_wait_ms": round(buffer.longest_wait * 1000),
        }


def _ms(ticks: int) -> int:
    return ticks * 1000 // TICKS
