"""Speech for the tests, and how alike what was said and what was heard are: in shape, in time, in level."""

import array
import functools
import math
import statistics
import wave
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import attrs

from edge.caller.opus_file import read_clip
from transceiver.audio.opus import OpusDecoder

__all__ = ["Envelope", "Match", "match", "match_pieces", "speech", "write_wav"]

_FRAME = 0.01  # seconds
_AUDIBLE = 0.003  # -50 dB of full scale
_WINDOW = 40  # frames
_PIECE = 100  # frames
_ALIKE = 0.9  # correlation of a piece that was found for certain
_STRETCH = 25  # frames: how much the delay of a window may differ from the usual one


@functools.cache
def speech(rate: int) -> bytes:
    """Return the caller's built-in voice, 11.4 s with no pause of half a second in it."""
    clip = read_clip(resources.files("edge.caller").joinpath("voice.opus").read_bytes())
    with OpusDecoder(rate) as decoder:
        return b"".join(decoder.decode(packet) for packet in clip.packets)


def write_wav(path: Path, pcm: bytes, rate: int = 48000) -> Path:
    """Write 16-bit mono, as Chromium's fake microphone wants it."""
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate)
        wav.writeframes(pcm)
    return path


@attrs.frozen
class Envelope:
    """How loud something was, every 10 ms, as a share of full scale.

    Attributes:
        start: when it began, in seconds of the time of day.
        levels: root mean squares.
    """

    start: float
    levels: Sequence[float]

    @classmethod
    def of_pcm(cls, pcm: bytes, rate: int, start: float = 0.0) -> "Envelope":
        samples = array.array("h", pcm)
        size = rate // 100
        frames = (samples[at : at + size] for at in range(0, len(samples) - size + 1, size))
        return cls(start, [math.hypot(*frame) / math.sqrt(size) / 32768 for frame in frames])

    @classmethod
    def of_pieces(cls, pieces: Iterable[tuple[float, bytes]], rate: int) -> "Envelope":
        """Take pieces of one recording, each with the time when it came: when its last sample was there."""
        arrivals, end = [], 0.0
        pcm = bytearray()
        for at, piece in pieces:
            pcm += piece
            end += len(piece) / 2 / rate
            arrivals.append(at - end)
        return cls.of_pcm(bytes(pcm), rate, statistics.median(arrivals))

    @classmethod
    def of_page(cls, heard: dict[str, list[float]]) -> "Envelope":
        """Take what a page has heard; one stall of its audio moves no more than what came before it."""
        ends = [at / 1000 - (index + 1) * _FRAME for index, at in enumerate(heard["times"])]
        return cls(statistics.median(ends), heard["levels"])

    @property
    def seconds(self) -> float:
        return len(self.levels) * _FRAME

    def since(self, at: float) -> "Envelope":
        """Return what came after some time of day."""
        first = max(round((at - self.start) / _FRAME), 0)
        return Envelope(self.start + first * _FRAME, self.levels[first:])

    def until(self, at: float) -> "Envelope":
        """Return what came before some time of day."""
        return Envelope(self.start, self.levels[: max(round((at - self.start) / _FRAME), 0)])

    def level(self) -> float:
        """Tell the level of all that is audible, in dB of full scale."""
        audible = [level * level for level in self.levels if level > _AUDIBLE]
        return 10 * math.log10(statistics.fmean(audible)) if audible else -math.inf

    def smoothed(self) -> "Envelope":
        """Return it over windows of 50 ms: what is left of the shape when a jitter buffer stretches a little."""
        powers = [0.0, 0.0, *(level * level for level in self.levels), 0.0, 0.0]
        windows = (math.fsum(powers[at : at + 5]) for at in range(len(self.levels)))
        return Envelope(self.start, [math.sqrt(power / 5) for power in windows])


@attrs.frozen
class Match:
    """How a copy follows its original.

    Attributes:
        correlation: of the envelopes; 1.0 for the same shape.
        delay: of the copy, in seconds; the median, as a jitter buffer stretches and shortens a little.
        least: the least delay, in seconds, that of what no stall has made late; infinity if nothing is like it.
        spread: from the least delay to the greatest, in seconds.
        gain: of the copy, in dB.
        seconds: how much was compared, from the first sound to the last.
    """

    correlation: float
    delay: float
    least: float
    spread: float
    gain: float
    seconds: float

    def __str__(self) -> str:
        delay = f"after {self.delay:.2f} s (±{self.spread / 2:.2f})"
        return f"correlation {self.correlation:.3f} over {self.seconds:.1f} s, {delay}, {self.gain:+.1f} dB"


def match(original: Envelope, copy: Envelope, *, latest: float, earliest: float = -0.05) -> Match:
    """Follow an original in its copy, window by window.

    Args:
        original: what was said.
        copy: what was heard; the whole original must fit, in time.
        earliest: the least delay that is looked for, in seconds.
        latest: the greatest.
    """
    audible = [index for index, level in enumerate(original.levels) if level > _AUDIBLE]
    first, size = audible[0], audible[-1] + 1 - audible[0]
    said, heard = original.smoothed().levels, copy.smoothed().levels
    offset = round((copy.start - original.start) / _FRAME)

    def distance(first: int, size: int, delay: int) -> float:
        at = first + delay - offset
        if at < 0 or at + size > len(heard):
            return math.inf
        return math.dist(said[first : first + size], heard[at : at + size])

    delays = range(round(earliest / _FRAME), round(latest / _FRAME) + 1)
    usual = min(delays, key=lambda delay: distance(first, size, delay))
    assert distance(first, size, usual) < math.inf, "the copy is not as long as the original"
    chosen: list[int] = []
    ours: list[float] = []
    theirs: list[float] = []
    for begin in range(first, first + size - _WINDOW + 1, _WINDOW):
        nearby = sorted(range(usual - _STRETCH, usual + _STRETCH + 1), key=lambda delay: abs(delay - usual))
        delay = min(nearby, key=lambda delay: distance(begin, _WINDOW, delay))
        if distance(begin, _WINDOW, delay) < math.inf:
            chosen.append(delay)
            ours += said[begin : begin + _WINDOW]
            theirs += heard[begin + delay - offset : begin + delay - offset + _WINDOW]
    return Match(
        correlation=statistics.correlation(ours, theirs),
        delay=statistics.median(chosen) * _FRAME,
        least=min(chosen) * _FRAME,
        spread=(max(chosen) - min(chosen)) * _FRAME,
        gain=Envelope(0.0, theirs).level() - Envelope(0.0, ours).level(),
        seconds=len(ours) * _FRAME,
    )


def match_pieces(original: Envelope, copy: Envelope, *, earliest: float, latest: float) -> Match:
    """Follow an original in its copy second by second, and tell how it went with most of them, by the medians.

    For what a browser has recorded or played, on a machine that is shared. When its audio stalls, all that comes
    afterwards is later than what came before, as far as its own clock can tell; so each second may have a delay of its
    own, and the one in which it stalled is like nothing. What stays is what our side has made of all the others.

    Args:
        original: what was said; seconds of which less than a half is audible are passed over.
        copy: what was heard.
        earliest: the least delay that is looked for, in seconds.
        latest: the greatest.
    """
    pieces: list[Match] = []
    for begin in range(0, len(original.levels) - _PIECE + 1, _PIECE):
        piece = Envelope(original.start + begin * _FRAME, original.levels[begin : begin + _PIECE])
        if sum(level > _AUDIBLE for level in piece.levels) > _PIECE / 2:
            pieces.append(match(piece, copy, earliest=earliest, latest=latest))
    delays = [piece.delay for piece in pieces]
    return Match(
        correlation=statistics.median(piece.correlation for piece in pieces),
        delay=statistics.median(delays),
        least=min((piece.delay for piece in pieces if piece.correlation > _ALIKE), default=math.inf),
        spread=max(delays) - min(delays),
        gain=statistics.median(piece.gain for piece in pieces),
        seconds=sum(piece.seconds for piece in pieces),
    )
