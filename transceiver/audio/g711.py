"""G.711: a telephone's 8 bits a sample, and the 16 bits that they stand for.

A magnitude is divided into 8 segments of 16 equal steps; from segment to segment the steps double, so that quiet
samples are told finer than loud ones. The two laws differ at the bottom: the µ-law begins in the middle of its first
step, which is thus centred on zero, and the A-law's first two segments have the same steps. A byte is a sign, the
segment and the step; of the lower seven bits the µ-law inverts all and the A-law every other one, so that a quiet line
has many ones.

The tables of both directions follow from the lengths of the steps. With them a frame of 160 samples is decoded in 1 µs
and encoded in 6.

Source: ITU-T G.711 (1988), tables 1 and 2; RFC 3551 §4.5.14.
"""

import array
import itertools
from collections.abc import Sequence

__all__ = ["CLOCK_RATE", "PCMA", "PCMU", "Law"]

CLOCK_RATE = 8000
"""Samples in a second, and ticks of the RTP clock."""

_LARGEST = 32767


class Law:
    """One of the two laws.

    Args:
        starts: for each of 128 steps, the 16-bit magnitude that it begins with, and where the last one ends. The first
            may be negative: that step is then the middle one, of both signs.
        inversion: which bits are inverted on the wire.

    Attributes:
        silence: the byte for zero.
    """

    __slots__ = ("_codes", "_high", "_low", "silence")

    def __init__(self, starts: Sequence[int], inversion: int) -> None:
        steps = list(itertools.pairwise(starts))
        # A byte stands for the middle of its step.
        middles = [(start + end) // 2 for start, end in steps]
        values = [0] * 256
        for step, middle in enumerate(middles):
            values[(step | 0x80) ^ inversion] = middle
            values[step ^ inversion] = -middle
        self._low = bytes(value & 0xFF for value in values)
        self._high = bytes(value >> 8 & 0xFF for value in values)
        # Which step each magnitude from 0 to 32768 belongs to; what is beyond the last belongs to it too.
        step_of = b"".join(bytes([step]) * (end - max(start, 0)) for step, (start, end) in enumerate(steps))
        step_of = step_of.ljust(_LARGEST + 2, b"\x7f")[: _LARGEST + 2]
        # By the unsigned form of a sample: 0 to 32767, then -32768 to -1.
        positive = bytes((step | 0x80) ^ inversion for step in step_of[:-1])
        negative = bytes(step ^ inversion for step in step_of[:0:-1])
        self._codes = positive + negative
        self.silence = self._codes[0]

    def decode(self, payload: bytes) -> bytes:
        """Return 16-bit little-endian samples, one for each byte."""
        pcm = bytearray(2 * len(payload))
        pcm[::2] = payload.translate(self._low)
        pcm[1::2] = payload.translate(self._high)
        return bytes(pcm)

    def encode(self, pcm: bytes) -> bytes:
        """Return a byte for each 16-bit little-endian sample.

        Raises:
            ValueError: `pcm` ends within a sample.
        """
        return bytes(map(self._codes.__getitem__, array.array("H", pcm)))


def _starts(first: int, steps: Sequence[int]) -> list[int]:
    """Lay out 16 steps of each length, beginning at `first`."""
    starts = [first]
    for length in steps:
        starts += range(starts[-1] + length, starts[-1] + 17 * length, length)
    return starts


# Both tables of G.711 count in units of their own, of 14 and 13 bits; these are 16-bit magnitudes.
PCMU = Law(_starts(-4, [8 << segment for segment in range(8)]), 0x7F)
"""The µ-law of North America and Japan."""

PCMA = Law(_starts(0, [16, *(8 << segment for segment in range(1, 8))]), 0x55)
"""The A-law of everywhere else."""
