"""When somebody begins and ends to speak, told from the energy of the signal. No model, no I/O, no clock.

The signal is looked at in frames of 20 ms. The level of a frame is the mean of its samples' magnitudes, over every
seventh sample or so: that is enough to tell speech from a quiet room, and costs 2 µs in plain Python, where all samples
cost 10 µs. (The step has no factor in common with the rate, so that no round test tone falls on its zero crossings.)

* **Noise floor**: the lowest level of the last 8 s. Pauses between words bring it down at once; a fan that starts to
  blow is background as soon as there was nothing else for 8 s. That is "minimum statistics" (R. Martin, "Noise Power
  Spectral Density Estimation Based on Optimal Smoothing and Minimum Statistics", IEEE Trans. SAP 9(5), 2001) with one
  band.
* **Hysteresis**: speech begins above one multiple of the floor and ends below a lower one, so a voice that fades
  towards the end of a sentence does not end the turn.
* **Time**: it begins after 60 ms of loud frames in a row, since a click is shorter; it ends after `silence_duration_ms`
  of quiet ones.
"""

import math
from collections.abc import Sequence
from struct import Struct

import attrs

from transceiver.agents.options import RATES
from wire.errors import LocalProtocolError

__all__ = ["SpeechBegan", "SpeechEnded", "TurnDetector", "TurnOptions", "levels_of", "trim_silence"]

FRAMES_PER_SECOND = 50
_STEPS = {8000: 3, 16000: 7, 24000: 7, 48000: 13}
_FRAME_STRUCTS = {
    rate: Struct("<" + f"h{2 * (_STEPS[rate] - 1)}x" * (rate // FRAMES_PER_SECOND // _STEPS[rate])) for rate in RATES
}

_MIN_SPEECH_FRAMES = 3
_HYSTERESIS_DB = 6.0
_FLOOR_WINDOW_FRAMES = 50
_FLOOR_WINDOWS = 8
_FULL_SCALE_MEAN = 20_861.0  # mean magnitude of a full-scale sine, 32767 · 2/π: 0 dBov


@attrs.frozen(kw_only=True)
class TurnOptions:
    """How the detector decides; the first three are the session's `audio.input.turn_detection`.

    Attributes:
        threshold: 0 to 1; the higher, the louder speech must be: 6 to 18 dB above the noise, and at least -62 to
            -38 dBov in absolute silence.
        prefix_padding_ms: audio before the first loud frame that belongs to the turn.
        silence_duration_ms: quiet time that ends a turn.
        max_speech_ms: a turn is ended after that, though somebody may still speak.
    """

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    max_speech_ms: int = 60_000


@attrs.frozen(kw_only=True)
class SpeechBegan:
    """Somebody began to speak.

    Attributes:
        sample: where the turn begins, prefix padding included, counted in samples from the first that was heard.
    """

    sample: int


@attrs.frozen(kw_only=True)
class SpeechEnded:
    """Nobody speaks any more.

    Attributes:
        sample: where the turn ends, in samples from the first that was heard; the silence that showed it is before.
    """

    sample: int


class TurnDetector:
    """Finds turns in one caller's audio.

    Args:
        rate: sample rate in Hz, one of `RATES`.
        options: how to decide.
        position: number of the first sample that will come.

    Attributes:
        is_speaking: whether somebody is.
    """

    def __init__(self, *, rate: int, options: TurnOptions, position: int = 0) -> None:
        if rate not in RATES:
            raise LocalProtocolError(f"a rate of {rate} Hz; possible are {RATES}")
        self.is_speaking = False
        self._struct = _FRAME_STRUCTS[rate]
        self._frame_samples = rate // FRAMES_PER_SECOND
        self._frame_bytes = 2 * self._frame_samples
        self._samples = len(self._struct.unpack(bytes(self._struct.size)))
        self._rest = b""
        self._position = position  # the first sample of the next frame
        self._first = position
        self._prefix_samples = options.prefix_padding_ms * rate // 1000
        self._silence_frames = _frames(options.silence_duration_ms)
        self._max_frames = _frames(options.max_speech_ms)
        threshold = min(max(options.threshold, 0.0), 1.0)
        self._start_ratio = _ratio(6 + 12 * threshold)
        self._stop_ratio = _ratio(6 + 12 * threshold - _HYSTERESIS_DB)
        self._start_least = _FULL_SCALE_MEAN * _ratio(-62 + 24 * threshold)
        self._stop_least = self._start_least / _ratio(_HYSTERESIS_DB)
        # Nothing is known of the room yet: a floor of zero leaves the absolute thresholds.
        self._minima = [0.0] * _FLOOR_WINDOWS
        self._lowest = math.inf
        self._window_frames = 0
        self._set_floor(0.0)
        self._loud_frames = 0  # in a row, before speech begins
        self._quiet_frames = 0  # in a row, before speech ends
        self._speech_frames = 0

    def receive(self, pcm: bytes) -> Sequence[SpeechBegan | SpeechEnded]:
        """Take 16-bit little-endian mono PCM of any length, and tell what it changed."""
        frame_bytes = self._frame_bytes
        if len(pcm) == frame_bytes and not self._rest:  # what a ticker gives
            change = self._receive_frame(pcm, 0)
            return () if change is None else (change,)
        pcm = self._rest + pcm
        end = len(pcm) - len(pcm) % frame_bytes
        self._rest = pcm[end:]
        changes = [self._receive_frame(pcm, offset) for offset in range(0, end, frame_bytes)]
        return [change for change in changes if change is not None]

    def restart(self) -> None:
        """Forget the turn that is going on, but not what is known of the room."""
        self._position += len(self._rest) // 2
        self._rest = b""
        self._first = self._position
        self.is_speaking = False
        self._loud_frames = 0

    def _receive_frame(self, pcm: bytes, offset: int) -> SpeechBegan | SpeechEnded | None:
        level = sum(map(abs, self._struct.unpack_from(pcm, offset))) / self._samples
        self._position += self._frame_samples
        if level < self._lowest:
            self._lowest = level
            if level < self._floor:
                self._set_floor(level)
        self._window_frames += 1
        if self._window_frames == _FLOOR_WINDOW_FRAMES:
            self._turn_window()
        if not self.is_speaking:
            if level < self._start_level:
                self._loud_frames = 0
                return None
            self._loud_frames += 1
            return self._begin() if self._loud_frames == _MIN_SPEECH_FRAMES else None
        self._speech_frames += 1
        self._quiet_frames = self._quiet_frames + 1 if level < self._stop_level else 0
        if self._quiet_frames >= self._silence_frames or self._speech_frames >= self._max_frames:
            self.is_speaking = False
            self._loud_frames = 0
            self._first = self._position
            return SpeechEnded(sample=self._position)
        return None

    def _begin(self) -> SpeechBegan:
        self.is_speaking = True
        self._quiet_frames = 0
        self._speech_frames = _MIN_SPEECH_FRAMES
        start = self._position - _MIN_SPEECH_FRAMES * self._frame_samples - self._prefix_samples
        return SpeechBegan(sample=max(start, self._first))

    def _turn_window(self) -> None:
        self._minima = [*self._minima[1:], self._lowest]
        self._lowest, self._window_frames = math.inf, 0
        self._set_floor(min(self._minima))

    def _set_floor(self, floor: float) -> None:
        self._floor = floor
        self._start_level = max(floor * self._start_ratio, self._start_least)
        self._stop_level = max(floor * self._stop_ratio, self._stop_least)


def levels_of(pcm: bytes, rate: int) -> list[float]:
    """Tell the level of each whole frame of 20 ms, in dB relative to a full-scale sine; silence is -inf."""
    struct, frame_bytes = _FRAME_STRUCTS[rate], 2 * rate // FRAMES_PER_SECOND
    levels = []
    for offset in range(0, len(pcm) - frame_bytes + 1, frame_bytes):
        samples = struct.unpack_from(pcm, offset)
        mean = sum(map(abs, samples)) / len(samples)
        levels.append(20 * math.log10(mean / _FULL_SCALE_MEAN) if mean else -math.inf)
    return levels


def trim_silence(pcm: bytes, rate: int, *, below: float = 30.0, keep: float = 0.06) -> bytes:
    """Cut the quiet beginning and end off.

    Args:
        pcm: 16-bit little-endian mono PCM.
        rate: its sample rate in Hz, one of `RATES`.
        below: how far below its loudest frame a frame counts as quiet, in dB.
        keep: seconds of quiet to keep on either side, so that soft consonants survive.

    Returns:
        What is left; everything when there is no difference, nothing when there is only silence.
    """
    levels = levels_of(pcm, rate)
    loudest = max(levels, default=-math.inf)
    loud = [index for index, level in enumerate(levels) if level >= loudest - below and level > -math.inf]
    if not loud:
        return b""
    frame_bytes = 2 * rate // FRAMES_PER_SECOND
    margin = round(keep * FRAMES_PER_SECOND)
    return pcm[max(loud[0] - margin, 0) * frame_bytes : (loud[-1] + 1 + margin) * frame_bytes]


def _frames(milliseconds: int) -> int:
    return max(1, math.ceil(milliseconds * FRAMES_PER_SECOND / 1000))


def _ratio(decibels: float) -> float:
    return float(10 ** (decibels / 20))
