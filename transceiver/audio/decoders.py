"""One decoder for each codec that callers speak, all with the same three ways to get samples."""

from transceiver.audio.concealment import PitchRepetition, VoiceDecoder
from transceiver.audio.g711 import CLOCK_RATE, PCMA, PCMU, Law
from transceiver.audio.opus import OpusDecoder
from transceiver.audio.resampling import Resampler

__all__ = ["CLOCKS", "G711Decoder", "make_decoder"]

CLOCKS = {"opus": 48000, "pcmu": 8000, "pcma": 8000}
"""RTP clock of each codec, in Hz."""


def make_decoder(codec: str, rate: int) -> VoiceDecoder:
    """Return a decoder.

    Args:
        codec: one of `CLOCKS`.
        rate: samples per second of what comes out.
    """
    if codec == "opus":
        return OpusDecoder(rate)
    return G711Decoder(PCMU if codec == "pcmu" else PCMA, rate)


class G711Decoder:
    """Decodes G.711 to any rate, and makes up for what is missing before the rate is changed.

    As many samples come out as their time asks for: the resampler's delay (2 ms) is silence at the beginning.

    Args:
        law: which of the two.
        rate: samples per second of what comes out.
    """

    __slots__ = ("_concealment", "_fraction", "_law", "_left", "_resampler", "rate")

    def __init__(self, law: Law, rate: int) -> None:
        self.rate = rate
        self._law = law
        self._concealment = PitchRepetition()
        self._resampler = Resampler(CLOCK_RATE, rate)
        self._fraction = 0  # of a sample, in parts of `CLOCK_RATE`, that is due beyond what was returned
        self._left = b""  # came out of the resampler, and is not due yet

    def decode(self, payload: bytes) -> bytes:
        """Decode a packet of any length."""
        pcm = self._law.decode(payload)
        self._concealment.heard(pcm)
        samples, self._fraction = divmod(len(payload) * self.rate + self._fraction, CLOCK_RATE)
        return self._resample(pcm, samples)

    def recover(self, payload_of_next: bytes, samples: int) -> bytes:  # noqa: ARG002 - G.711 packets know only themselves
        """Make up for what is missing before a packet."""
        return self.conceal(samples)

    def conceal(self, samples: int) -> bytes:
        """Make up for what is missing by what was heard before."""
        return self._resample(self._concealment.conceal(samples * CLOCK_RATE // self.rate), samples)

    def _resample(self, pcm: bytes, samples: int) -> bytes:
        resampled = self._left + self._resampler.resample(pcm)
        resampled = bytes(max(2 * samples - len(resampled), 0)) + resampled
        self._left = resampled[2 * samples :]
        return resampled[: 2 * samples]
