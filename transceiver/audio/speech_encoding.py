"""Speech into payloads: what the sender asks of a codec, for Opus and for G.711."""

from typing import Protocol

from transceiver.audio import g711
from transceiver.audio.adaptation import FRAME_SECONDS, SendingOptions
from transceiver.audio.opus import OpusEncoder, OpusOptions
from transceiver.audio.opus_packet import CLOCK_RATE, absent_frame
from transceiver.audio.resampling import Resampler
from wire.errors import LocalProtocolError

__all__ = ["G711Speech", "OpusSpeech", "SpeechEncoder", "open_encoder"]


_FIRST_BYTE = 0xF8
"""RFC 6716 §3.1: CELT, full band, 20 ms, mono, one frame; where nothing was encoded yet."""


class SpeechEncoder(Protocol):
    """A codec, frame by frame.

    Attributes:
        clock_rate: of its RTP timestamps, in Hz.
        suppresses_silence: whether packets may be left out while there is nothing to hear.
    """

    clock_rate: int
    suppresses_silence: bool

    def encode(self, pcm: bytes) -> bytes:
        """Encode a frame of 20 ms: 16-bit little-endian mono PCM at the rate that the encoder was made for."""

    def nothing(self) -> bytes:
        """Return the payload that says that there is nothing to hear for 20 ms."""

    def adapt(self, bitrate: int, expected_loss: float, *, fec: bool) -> None:
        """Follow the path, as far as the codec can; see `Adaptation`."""

    def close(self) -> None:
        """Free its memory."""


class OpusSpeech(OpusEncoder):
    """Opus, straight from the backend's rate.

    Args:
        rate: of the PCM, in Hz.
        options: bitrate and complexity.
    """

    __slots__ = ()
    clock_rate = CLOCK_RATE
    suppresses_silence = True

    def __init__(self, rate: int, options: SendingOptions) -> None:
        super().__init__(rate, options=OpusOptions(bitrate=options.bitrate, complexity=options.complexity))

    def nothing(self) -> bytes:
        """Return a frame of no bytes, as the last one was configured: one byte in all."""
        return absent_frame(self.first_byte or _FIRST_BYTE)

    def adapt(self, bitrate: int, expected_loss: float, *, fec: bool) -> None:
        """Set what has changed."""
        if bitrate != self.bitrate:
            self.bitrate = bitrate
        if expected_loss != self.expected_loss:
            self.expected_loss = expected_loss
        if fec != self.fec:
            self.fec = fec


class G711Speech:
    """G.711, by way of a resampler.

    Without comfort noise (RFC 3389) a gap would sound like a dead line, so silence is sent like speech.

    Args:
        law: µ or A.
        rate: of the PCM, in Hz.
    """

    clock_rate = g711.CLOCK_RATE
    suppresses_silence = False

    _SIZE = round(g711.CLOCK_RATE * FRAME_SECONDS) * 2

    def __init__(self, law: g711.Law, rate: int) -> None:
        self._law = law
        self._resampler = Resampler(rate, g711.CLOCK_RATE)
        self._pcm = b""

    def encode(self, pcm: bytes) -> bytes:
        """Encode a frame; see `SpeechEncoder`."""
        pcm = self._pcm + self._resampler.resample(pcm)
        # The resampler holds the first 2 ms back, once.
        pcm = pcm.rjust(self._SIZE, b"\0")
        self._pcm = pcm[self._SIZE :]
        return self._law.encode(pcm[: self._SIZE])

    def nothing(self) -> bytes:
        """Return a frame of silence."""
        return bytes([self._law.silence]) * (self._SIZE // 2)

    def adapt(self, bitrate: int, expected_loss: float, *, fec: bool) -> None:
        """Do nothing: there is nothing to set."""

    def close(self) -> None:
        """Do nothing: the resampler goes with the object."""


def open_encoder(codec: str, rate: int, options: SendingOptions) -> SpeechEncoder:
    """Make the encoder for a codec.

    Args:
        codec: its name in lower case: "opus", "pcmu" or "pcma".
        rate: of the PCM, in Hz.
        options: bitrate and complexity.

    Raises:
        LocalProtocolError: there is no such codec, or it cannot take the rate.
    """
    match codec:
        case "opus":
            return OpusSpeech(rate, options)
        case "pcmu":
            return G711Speech(g711.PCMU, rate)
        case "pcma":
            return G711Speech(g711.PCMA, rate)
        case _:
            raise LocalProtocolError(f"there is no encoder for {codec}")
