"""Opus: PCM to packets and back, with what a voice call needs of it.

PCM is `bytes` of 16-bit little-endian mono samples, at 8, 12, 16, 24 or 48 kHz: libopus converts the rate itself, so no
resampler stands in the path of a call. Stereo packets are decoded to mono.

Nothing is allocated for each packet but the `bytes` that come out. Measured with libopus 1.6.1 on speech at 24 kHz,
20 ms a packet: 20 µs to decode, 44 to 145 to encode (`SendingOptions.complexity`).

An encoder has 32 KB of memory outside of Python, a decoder 25, which `close` frees; what is forgotten goes with the
object. One may be used from any thread, by one at a time.

Source: RFC 6716, RFC 7587 §3 (what each setting means for a call).
"""

from typing import Self

import attrs

from transceiver.audio.library import CData, ffi, open_libopus
from transceiver.audio.opus_packet import CLOCK_RATE, MAX_FRAME, MAX_PACKET_SAMPLES, check_packet
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["RATES", "OpusDecoder", "OpusEncoder", "OpusOptions"]

RATES = (8000, 12000, 16000, 24000, 48000)
"""Sample rates in Hz that libopus takes and gives."""

_APPLICATION_VOIP = 2048
_SIGNAL_VOICE = 3001
_SET_BITRATE, _SET_VBR, _SET_COMPLEXITY, _SET_INBAND_FEC = 4002, 4006, 4010, 4012
_SET_PACKET_LOSS_PERC, _SET_DTX, _SET_SIGNAL, _RESET_STATE = 4014, 4016, 4024, 4028
_GET_LOOKAHEAD = 4027

_MAX_PACKET = MAX_FRAME + 1


@attrs.frozen(kw_only=True)
class OpusOptions:
    """How an encoder works; the first three may be changed later.

    Attributes:
        bitrate: target in bit/s, 6000 to 510000.
        expected_loss: share of packets that is expected to get lost, 0 to 1. With `fec`, libopus decides by it how
            much of the bitrate goes into spare copies.
        fec: put a coarser copy of each frame into the next packet (LBRR), as far as `expected_loss` asks for it.
        complexity: 0 to 10, how much is tried to code well.
        vbr: spend more bits where there is more to code.
        dtx: send next to nothing while there is nothing to hear.
    """

    bitrate: int = 32000
    expected_loss: float = 0.0
    fec: bool = False
    complexity: int = 5
    vbr: bool = True
    dtx: bool = False


class OpusEncoder:
    """Encodes a voice.

    Args:
        rate: sample rate of the PCM in Hz, one of `RATES`.
        options: how.

    Raises:
        LocalProtocolError: a rate or an option is out of range.
        OpusUnavailable: there is no libopus.
    """

    __slots__ = ("_bitrate", "_encode", "_expected_loss", "_fec", "_library", "_payload", "_state", "_view", "rate")

    def __init__(self, rate: int, *, options: OpusOptions | None = None) -> None:
        options = OpusOptions() if options is None else options
        _check_rate(rate)
        self.rate = rate
        self._library = library = open_libopus()
        self._encode = library.opus_encode
        error = ffi.new("int *")
        state = library.opus_encoder_create(rate, 1, _APPLICATION_VOIP, error)
        _check_made(error)
        self._state: CData | None = ffi.gc(state, library.opus_encoder_destroy)
        self._payload = ffi.new("unsigned char[]", _MAX_PACKET)
        self._view = ffi.buffer(self._payload)
        self._set(_SET_SIGNAL, _SIGNAL_VOICE)
        self._set(_SET_COMPLEXITY, options.complexity)
        self._set(_SET_VBR, options.vbr)
        self._set(_SET_DTX, options.dtx)
        self.bitrate = options.bitrate
        self.expected_loss = options.expected_loss
        self.fec = options.fec

    def encode(self, pcm: bytes) -> bytes:
        """Encode one frame.

        Args:
            pcm: 2.5, 5, 10, 20, 40 or 60 ms of samples (also 80, 100 and 120 ms, which become several frames).

        Returns:
            One packet. With DTX it may be a single byte, which need not be sent.

        Raises:
            LocalProtocolError: the length is none of these, or the encoder is closed.
        """
        if self._state is None:
            raise LocalProtocolError("the encoder is closed")
        size: int = self._encode(self._state, pcm, len(pcm) >> 1, self._payload, _MAX_PACKET)
        if size < 0 or len(pcm) & 1:
            raise LocalProtocolError(f"{len(pcm)} bytes at {self.rate} Hz are not a frame of Opus")
        payload: bytes = self._view[:size]
        return payload

    @property
    def first_byte(self) -> int:
        """That of the last packet, which tells how it is coded; 0 before the first."""
        return int(self._payload[0])

    @property
    def bitrate(self) -> int:
        """Target in bit/s; may be set at any time."""
        return self._bitrate

    @bitrate.setter
    def bitrate(self, value: int) -> None:
        self._set(_SET_BITRATE, value)
        self._bitrate = value

    @property
    def expected_loss(self) -> float:
        """Share of packets expected to get lost, 0 to 1, in hundredths; may be set at any time."""
        return self._expected_loss

    @expected_loss.setter
    def expected_loss(self, value: float) -> None:
        self._set(_SET_PACKET_LOSS_PERC, round(value * 100))
        self._expected_loss = value

    @property
    def fec(self) -> bool:
        """Whether spare copies are sent; may be set at any time."""
        return self._fec

    @fec.setter
    def fec(self, value: bool) -> None:
        self._set(_SET_INBAND_FEC, value)
        self._fec = value

    @property
    def lookahead(self) -> int:
        """How many samples what is decoded lags behind what was encoded."""
        value = ffi.new("int32_t *")
        self._control(_GET_LOOKAHEAD, value)
        return int(value[0])

    def reset(self) -> None:
        """Forget all audio so far, as if a new call began; settings stay."""
        self._control(_RESET_STATE, ffi.cast("int", 0))

    def close(self) -> None:
        """Free the memory; closing twice is fine."""
        state, self._state = self._state, None
        if state is not None:
            ffi.release(state)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _set(self, request: int, value: int) -> None:
        self._control(request, ffi.cast("int32_t", value))

    def _control(self, request: int, value: CData) -> None:
        if self._state is None:
            raise LocalProtocolError("the encoder is closed")
        if self._library.opus_encoder_ctl(self._state, request, value) < 0:
            raise LocalProtocolError(f"libopus refuses request {request} with {value}")


class OpusDecoder:
    """Decodes a voice, and makes up for what is missing.

    Each of the three ways gives samples that join the ones before without a click, so a stream is decoded by calling
    exactly one of them for each stretch of time.

    Args:
        rate: sample rate of the PCM in Hz, one of `RATES`.

    Raises:
        LocalProtocolError: the rate is none of these.
        OpusUnavailable: there is no libopus.
    """

    __slots__ = ("_decode", "_library", "_pcm", "_room", "_state", "_view", "rate")

    def __init__(self, rate: int) -> None:
        _check_rate(rate)
        self.rate = rate
        self._library = library = open_libopus()
        self._decode = library.opus_decode
        error = ffi.new("int *")
        state = library.opus_decoder_create(rate, 1, error)
        _check_made(error)
        self._state: CData | None = ffi.gc(state, library.opus_decoder_destroy)
        self._room = MAX_PACKET_SAMPLES * rate // CLOCK_RATE
        self._pcm = ffi.new("int16_t[]", self._room)
        self._view = ffi.buffer(self._pcm)

    def decode(self, payload: bytes) -> bytes:
        """Decode a packet.

        Returns:
            All of its samples, 2.5 to 120 ms.

        Raises:
            MalformedError: it is no Opus packet; the decoder is as it was.
            LocalProtocolError: the decoder is closed.
        """
        if self._state is None:
            raise LocalProtocolError("the decoder is closed")
        check_packet(payload)
        count: int = self._decode(self._state, payload, len(payload), self._pcm, self._room, 0)
        if count < 0:
            raise MalformedError("Opus packet", 0, f"libopus reports error {count}")
        pcm: bytes = self._view[: 2 * count]
        return pcm

    def recover(self, payload_of_next: bytes, samples: int) -> bytes:
        """Make up for a lost packet by the coarser copy that the next one holds (in-band FEC).

        Where the next packet holds none (`opus_packet.has_fec`), or the gap is longer than one packet, the loss or the
        first part of it is concealed.

        Args:
            payload_of_next: the packet behind the gap; it is to be decoded afterwards.
            samples: how long the gap is, a multiple of 2.5 ms up to 120 ms.

        Raises:
            MalformedError: it is no Opus packet; the decoder is as it was.
            LocalProtocolError: the length is none of these, or the decoder is closed.
        """
        check_packet(payload_of_next)
        self._check_gap(samples)
        return self._run(payload_of_next, len(payload_of_next), samples, is_fec=True)

    def conceal(self, samples: int) -> bytes:
        """Make up for lost audio from what was heard before; fades out when called again and again.

        Args:
            samples: how long the gap is, a multiple of 2.5 ms up to 120 ms.

        Raises:
            LocalProtocolError: the length is none of these, or the decoder is closed.
        """
        self._check_gap(samples)
        return self._run(ffi.NULL, 0, samples, is_fec=False)

    def reset(self) -> None:
        """Forget all audio so far, as if a new stream began."""
        if self._state is None:
            raise LocalProtocolError("the decoder is closed")
        self._library.opus_decoder_ctl(self._state, _RESET_STATE, ffi.cast("int", 0))

    def close(self) -> None:
        """Free the memory; closing twice is fine."""
        state, self._state = self._state, None
        if state is not None:
            ffi.release(state)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _run(self, payload: bytes | CData, size: int, samples: int, *, is_fec: bool) -> bytes:
        if self._state is None:
            raise LocalProtocolError("the decoder is closed")
        count: int = self._decode(self._state, payload, size, self._pcm, samples, is_fec)
        if count < 0:
            raise MalformedError("Opus packet", 0, f"libopus reports error {count}")
        pcm: bytes = self._view[: 2 * count]
        return pcm

    def _check_gap(self, samples: int) -> None:
        # libopus counts in steps of 2.5 ms.
        if not 0 < samples <= self._room or samples % (self.rate // 400):
            raise LocalProtocolError(f"a gap of {samples} samples at {self.rate} Hz is no multiple of 2.5 ms to 120 ms")


def _check_rate(rate: int) -> None:
    if rate not in RATES:
        raise LocalProtocolError(f"libopus knows no rate of {rate} Hz")


def _check_made(error: CData) -> None:
    if error[0]:
        raise MemoryError(f"libopus reports error {error[0]}")
