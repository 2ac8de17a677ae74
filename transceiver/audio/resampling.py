"""From one sample rate to another, without a seam between the pieces.

Opus needs none of this: libopus takes and gives the rates of backends itself. What is left is G.711, and files.

The filter is FFmpeg's, through PyAV, which is imported when the first resampler is made (70 ms, 15 MB). Measured: 12 µs
for a frame of 20 ms, whatever the rates.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

from wire.errors import LocalProtocolError

if TYPE_CHECKING:
    import av

__all__ = ["Resampler"]


class Resampler:
    """Converts one stream: 16-bit little-endian mono PCM, in pieces of any length.

    The pieces that come out, put together, are what the whole would have become. They lag by 16 samples of the
    lower rate, half the length of the filter, which `finish` gives out; apart from that as much comes out as went in.

    Args:
        source_rate: sample rate of what goes in, in Hz.
        rate: of what comes out.
    """

    __slots__ = ("_resampler", "_taken", "_time_base", "rate", "source_rate")

    def __init__(self, source_rate: int, rate: int) -> None:
        self.source_rate = source_rate
        self.rate = rate
        self._taken = 0
        self._time_base = Fraction(1, source_rate)
        self._resampler = _open(rate) if rate != source_rate else None

    def resample(self, pcm: bytes) -> bytes:
        """Convert the next piece.

        Raises:
            LocalProtocolError: it ends within a sample.
        """
        if len(pcm) & 1:
            raise LocalProtocolError(f"{len(pcm)} bytes end within a sample")
        if self._resampler is None or not pcm:
            return pcm
        import av

        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) >> 1)
        frame.planes[0].update(pcm)
        frame.sample_rate = self.source_rate
        frame.time_base = self._time_base
        frame.pts = self._taken
        self._taken += frame.samples
        return self._run(frame)

    def finish(self) -> bytes:
        """Return what is still in the filter; nothing may follow."""
        return b"" if self._resampler is None else self._run(None)

    def _run(self, frame: "av.AudioFrame | None") -> bytes:
        assert self._resampler is not None  # noqa: S101 - both callers have looked
        # A plane is longer than its samples.
        return b"".join(bytes(out.planes[0])[: 2 * out.samples] for out in self._resampler.resample(frame))


def _open(rate: int) -> "av.AudioResampler":
    import av

    return av.AudioResampler(format="s16", layout="mono", rate=rate)
