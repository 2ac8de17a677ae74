"""Sounds that begin sharply, and when they were made and heard: how a delay is measured through a codec.

All times are those of the kernel's monotonic clock, which is one for all processes of the machine.
"""

import array
import math
import random
from collections.abc import Iterator, Sequence

from edge.caller.opus_file import SAMPLE_RATE, Clip
from transceiver.audio.opus import OpusEncoder, OpusOptions

__all__ = ["ONSET_SECONDS", "OnsetDetector", "onset_clip", "pair_times", "quantile", "tone"]

ONSET_SECONDS = 0.5
"""Between two onsets of the caller's."""

_TONE_SECONDS = 0.04
_TONE_HERTZ = 1000
_LOUD, _THRESHOLD, _NOISE = 16_000, 5_000, 100
_QUIET_SECONDS = 0.06
"""So long it must have been quiet for a loud sample to be an onset."""

_FRAME_SECONDS = 0.02


def tone(rate: int) -> bytes:
    """Return a short sound that is loud from its first millisecond on: 16-bit little-endian mono PCM."""
    count = round(rate * _TONE_SECONDS)
    return array.array(
        "h", [round(_LOUD * math.sin(math.tau * _TONE_HERTZ * n / rate)) for n in range(count)]
    ).tobytes()


def onset_clip() -> tuple[Clip, int]:
    """Encode faint noise with a tone in it.

    Returns:
        A clip that begins again after `ONSET_SECONDS`, and which of its packets is the first loud one. The tone begins
        with that packet's 20 ms; what the codec looks ahead makes it come out 6.5 ms later, still within it.
    """
    dice = random.Random(1)
    frames = round(ONSET_SECONDS / _FRAME_SECONDS)
    size = round(SAMPLE_RATE * _FRAME_SECONDS)
    noise = array.array("h", [dice.randint(-_NOISE, _NOISE) for _ in range(frames * size)]).tobytes()
    loud = frames // 2
    sound = tone(SAMPLE_RATE)
    at = 2 * size * loud
    pcm = noise[:at] + sound + noise[at + len(sound) :]
    with OpusEncoder(SAMPLE_RATE, options=OpusOptions(bitrate=40_000)) as encoder:
        # The second time round the encoder knows what was before, as it will be in the call.
        packets = [encoder.encode(pcm[n * 2 * size : (n + 1) * 2 * size]) for _ in range(2) for n in range(frames)]
    return Clip(packets=tuple(packets[frames:]), samples=(size,) * frames), loud


class OnsetDetector:
    """Listens for onsets.

    Args:
        rate: sample rate of the PCM in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._quiet_size = rate * _QUIET_SECONDS
        self._quiet = 0

    def hears(self, pcm: bytes) -> bool:
        """Take the next piece of 16-bit little-endian mono PCM; True if a sound begins in it."""
        samples = array.array("h", pcm)
        if not samples:
            return False
        if max(samples) < _THRESHOLD:
            self._quiet += len(samples)
            return False
        is_onset = self._quiet >= self._quiet_size
        self._quiet = 0
        return is_onset


def pair_times(made: Sequence[float], heard: Sequence[float], within: float) -> Iterator[float]:
    """Yield how long each sound took that was heard.

    Args:
        made: when sounds were made, ascending.
        heard: when sounds were heard, ascending.
        within: seconds in which a sound is heard, if at all; less than between two sounds.
    """
    for at in made:
        delay = next((when - at for when in heard if when >= at), math.inf)
        if delay <= within:
            yield delay


def quantile(values: Sequence[float], share: float) -> float:
    """Return the least of the values that `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(max(math.ceil(len(ordered) * share) - 1, 0), len(ordered) - 1)]
