"""A sound for agents that have no voice."""

import array
import math
import sys
from functools import cache

__all__ = ["beep"]

_FADE_SECONDS = 0.01
_AMPLITUDE = 8000  # -12 dBov


@cache
def beep(rate: int, hertz: float = 660.0, seconds: float = 0.15) -> bytes:
    """Make a short tone that neither clicks at its beginning nor at its end.

    Args:
        rate: sample rate in Hz.
        hertz: its pitch.
        seconds: its length.

    Returns:
        16-bit little-endian mono PCM.
    """
    total, fade = round(rate * seconds), max(round(rate * _FADE_SECONDS), 1)
    samples = array.array("h")
    for index in range(total):
        loudness = min(index, total - 1 - index, fade) / fade
        samples.append(round(_AMPLITUDE * loudness * math.sin(2 * math.pi * hertz * index / rate)))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
