"""Sounds to try audio with, and what of them can be measured."""

import array
import functools
import itertools
import math
import random

import pytest


class Sound:
    """Makes and measures PCM: 16-bit little-endian mono samples."""

    @staticmethod
    def pcm(samples: list[float]) -> bytes:
        return array.array("h", [round(max(-32768, min(32767, sample))) for sample in samples]).tobytes()

    @staticmethod
    def samples(pcm: bytes) -> list[int]:
        return array.array("h", pcm).tolist()

    @classmethod
    def tone(cls, hertz: float, seconds: float, rate: int, amplitude: float = 8000.0, start: float = 0.0) -> bytes:
        """A sine; `start` seconds into it, so that pieces of one tone can be made apart."""
        first = round(start * rate)
        turn = 2 * math.pi * hertz / rate
        return cls.pcm([amplitude * math.sin(turn * n) for n in range(first, first + round(seconds * rate))])

    @classmethod
    def noise(cls, seconds: float, rate: int, amplitude: float = 3000.0, seed: int = 1) -> bytes:
        """Noise of a normal distribution."""
        chance = random.Random(seed)
        return cls.pcm([chance.gauss(0, amplitude) for _ in range(round(seconds * rate))])

    @classmethod
    @functools.cache
    def syllables(cls, seconds: float, rate: int) -> bytes:
        """Something that codecs take for a voice: a buzz of 140 Hz through two formants, four times a second."""
        partials = [
            (2 * math.pi * 140 * k, 1 + abs(140 * k - 600) / 300 + abs(140 * k - 1500) / 900) for k in range(1, 20)
        ]
        samples = []
        for n in range(round(seconds * rate)):
            at = n / rate
            swell = max(0.0, math.sin(2 * math.pi * 4 * at)) ** 0.5
            buzz = sum([math.sin(turn * at) / damping for turn, damping in partials])
            samples.append(5000 * swell * buzz)
        return cls.pcm(samples)

    @classmethod
    def rms(cls, pcm: bytes) -> float:
        """Root of the mean square; 0 for no samples."""
        samples = cls.samples(pcm)
        return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if samples else 0.0

    @classmethod
    def strength(cls, pcm: bytes, hertz: float, rate: int) -> float:
        """Amplitude of one frequency."""
        samples = cls.samples(pcm)
        turn = 2 * math.pi * hertz / rate
        real = sum(sample * math.cos(turn * n) for n, sample in enumerate(samples))
        imaginary = sum(sample * math.sin(turn * n) for n, sample in enumerate(samples))
        return 2 * math.hypot(real, imaginary) / len(samples)

    @classmethod
    def largest_step(cls, pcm: bytes) -> int:
        """The largest difference between neighbouring samples: a click stands out."""
        samples = cls.samples(pcm)
        return max(abs(after - before) for before, after in itertools.pairwise(samples))


@pytest.fixture(scope="session")
def sound() -> type[Sound]:
    """Makes and measures PCM."""
    return Sound
