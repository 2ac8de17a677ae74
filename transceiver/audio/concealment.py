"""What stands in for audio that did not come: for a while something like what was heard, then silence.

Opus makes up for losses itself. For G.711, which has no memory, the last period of the voice is repeated and faded out.
"""

import array
from typing import Protocol

__all__ = ["Concealment", "PitchRepetition", "VoiceDecoder"]

_STEPS_PER_SECOND = 400
"""Concealment comes in multiples of 2.5 ms."""

_CHUNK = 8 * 60 // 20  # multiples of 2.5 ms at once: 60 ms

# What is made up sounds like speech for about as long; beyond, it would be an invention.
_LOSS_SECONDS = 0.120

# And ends without a click. libopus would go on with noise as loud as the last it heard.
_FADE_SECONDS = 0.040

# A pause in which the sender says next to nothing (DTX) is filled with the codec's comfort noise; senders renew it
# every 400 ms.
_COMFORT_SECONDS = 1.0


class VoiceDecoder(Protocol):
    """Turns one codec's payloads into 16-bit little-endian mono samples, without a gap between calls."""

    def decode(self, payload: bytes) -> bytes:
        """Decode a packet.

        Raises:
            MalformedError: it is none.
        """

    def recover(self, payload_of_next: bytes, samples: int) -> bytes:
        """Make up for what is missing before a packet by what that packet knows of it."""

    def conceal(self, samples: int) -> bytes:
        """Make up for what is missing by what was heard before; `samples` is a multiple of 2.5 ms."""


class Concealment:
    """Fills gaps, and knows for how long it has.

    Args:
        rate: samples per second.

    Attributes:
        run: samples that were filled since anything was heard.
    """

    __slots__ = ("_rate", "_step", "run")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._step = rate // _STEPS_PER_SECOND
        self.run = 0

    def heard(self) -> None:
        """Note that real audio was handed on."""
        self.run = 0

    def fill(self, decoder: VoiceDecoder | None, samples: int, *, is_comfort: bool = False) -> bytes:
        """Return something for a gap.

        Args:
            decoder: who knows what was heard before; None for silence.
            samples: length of the gap.
            is_comfort: whether the sender has said that there is nothing to hear.
        """
        limit = int((_COMFORT_SECONDS if is_comfort else _LOSS_SECONDS) * self._rate)
        left = steps = min(samples, max(limit - self.run, 0)) // self._step
        pieces = []
        while left and decoder is not None:
            count = min(left, _CHUNK)
            pieces.append(decoder.conceal(count * self._step))
            left -= count
        pcm = b"".join(pieces)
        fade = int(_FADE_SECONDS * self._rate)
        if self.run + steps * self._step > limit - fade:
            pcm = self._fade(pcm, limit, fade)
        self.run += samples
        return pcm + bytes(2 * samples - len(pcm))

    def _fade(self, pcm: bytes, end: int, size: int) -> bytes:
        """Let what begins at the present position end in silence at another, over so many samples."""
        samples = array.array("h", pcm)
        for n in range(max(end - size - self.run, 0), len(samples)):
            samples[n] = samples[n] * (end - self.run - n) // size
        return samples.tobytes()


class PitchRepetition:
    """Continues a voice at 8 kHz by repeating its last period, ever more quietly."""

    RATE = 8000
    _SHORTEST, _LONGEST = 20, 120  # periods, in samples: 400 Hz to 67 Hz
    _COMPARED = 80  # samples
    _FADE = 480  # samples until nothing is left: 60 ms

    def __init__(self) -> None:
        self._history = array.array("h")
        self._period = array.array("h")
        self._made = 0

    def heard(self, pcm: bytes) -> None:
        """Remember what was heard last.

        Args:
            pcm: 16-bit little-endian samples.
        """
        self._made = 0
        kept = self._LONGEST + self._COMPARED
        if len(pcm) >= 2 * kept:
            self._history = array.array("h", pcm[-2 * kept :])
        else:
            self._history.frombytes(pcm)
            del self._history[:-kept]

    def conceal(self, samples: int) -> bytes:
        """Return as many samples as are asked for, going on from the last call."""
        if not self._made:
            self._period = self._find_period()
        period = self._period
        faded = array.array("h")
        for at in range(self._made, self._made + samples):
            level = self._FADE - at
            if level <= 0 or not period:
                faded.extend([0] * (self._made + samples - at))
                break
            faded.append(period[at % len(period)] * level // self._FADE)
        self._made += samples
        return faded.tobytes()

    def _find_period(self) -> "array.array[int]":
        """Return the stretch at the end whose repetition is most like what was before it."""
        history = self._history
        size = len(history)
        if size < self._LONGEST + self._COMPARED:
            return history[-self._SHORTEST :] if size >= self._SHORTEST else array.array("h")
        end = history[size - self._COMPARED :]

        def likeness(lag: int) -> float:
            """The cross-correlation, squared, over the energy: comparable between lags."""
            before = history[size - self._COMPARED - lag : size - lag]
            product = sum(map(int.__mul__, end, before))
            return product * product / (sum(map(int.__mul__, before, before)) or 1) if product > 0 else 0.0

        # Every other lag tells well enough where to look closely; it is half of 0.7 ms.
        roughly = max(range(self._SHORTEST, self._LONGEST + 1, 2), key=likeness)
        best = max(range(max(roughly - 1, self._SHORTEST), roughly + 2), key=likeness)
        return history[size - best :]
