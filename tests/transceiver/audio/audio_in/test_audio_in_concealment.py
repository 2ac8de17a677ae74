"""What stands in for lost audio: it goes on like what was heard, fades, and does not click."""

import array
import itertools
import math
import random

import pytest

from transceiver.audio.concealment import Concealment, PitchRepetition
from transceiver.audio.opus import OpusDecoder

RATE = 16000


def level(samples) -> float:
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if len(samples) else 0.0


@pytest.fixture
def decoder(caller, tone):
    """A decoder that has just heard a loud tone, which libopus goes on with for long."""
    decoder = OpusDecoder(RATE)
    for frame in caller.frames(tone(1.0, RATE), RATE):
        decoder.decode(frame)
    return decoder


@pytest.mark.parametrize("pieces", [[5000], [320] * 15 + [200], [100, 33, 7] * 35 + [100]])
def test_a_loss_fades_into_silence(decoder, pieces):
    concealment = Concealment(RATE)
    pcm = [concealment.fill(decoder, size) for size in pieces]
    assert [len(piece) for piece in pcm] == [2 * size for size in pieces]
    samples = array.array("h", b"".join(pcm))
    assert len(samples) == 5000 or sum(pieces) != 5000
    end = RATE * 120 // 1000
    assert level(samples[:320]) > 1000 or len(pieces) > 100  # odd pieces cannot all be made up
    assert not any(samples[end:])
    assert level(samples[end - 160 : end]) < 700


def test_the_end_does_not_click(decoder):
    samples = array.array("h", Concealment(RATE).fill(decoder, RATE // 4))
    end = RATE * 120 // 1000
    steps = [abs(after - before) for before, after in itertools.pairwise(samples)]
    assert max(steps[end - 20 : end + 20]) < 150


def test_after_real_audio_the_next_loss_is_made_up_again(decoder):
    concealment = Concealment(RATE)
    concealment.fill(decoder, RATE)
    assert not any(concealment.fill(decoder, 320))
    concealment.heard()
    assert any(concealment.fill(decoder, 320))


def test_comfort_lasts_for_as_long_as_senders_leave_us_alone(decoder):
    comfort = Concealment(RATE)
    pcm = array.array("h", comfort.fill(decoder, RATE * 3 // 2, is_comfort=True))
    assert any(pcm[RATE // 2 : RATE * 9 // 10])
    assert not any(pcm[RATE:])


def test_without_a_decoder_there_is_silence():
    assert Concealment(RATE).fill(None, 100) == bytes(200)


@pytest.mark.parametrize("hertz", [80, 110, 150, 220, 380])
def test_the_period_of_a_voice_is_repeated(hertz):
    """Harmonics of a voice, then nothing: for a frame, the voice goes on, in phase."""
    samples = [
        int(sum(4000 / k * math.sin(2 * math.pi * hertz * k * n / 8000) for k in range(1, 8) if hertz * k < 3400))
        for n in range(2000)
    ]
    repetition = PitchRepetition()
    for at in range(0, 1600, 160):
        repetition.heard(array.array("h", samples[at : at + 160]).tobytes())
    made = array.array("h", repetition.conceal(160))
    expected = samples[1600:1760]
    faded = [value * (480 - n) // 480 for n, value in enumerate(expected)]
    error = sum((a - b) ** 2 for a, b in zip(made, faded, strict=True)) / sum(b * b for b in faded)
    assert error < 0.15
    # It ends after 60 ms, in however many pieces it is asked for.
    rest = array.array("h", b"".join(repetition.conceal(size) for size in (20, 100, 200, 160)))
    assert any(rest[:300])
    assert not any(rest[320:])


def test_little_was_heard():
    repetition = PitchRepetition()
    assert repetition.conceal(100) == bytes(200)
    repetition.heard(bytes(10))
    assert repetition.conceal(100) == bytes(200)
    repetition.heard(array.array("h", [1000] * 60).tobytes())
    assert any(array.array("h", repetition.conceal(100)))


def test_noise_is_repeated_without_harm():
    chance = random.Random(1)
    repetition = PitchRepetition()
    repetition.heard(array.array("h", [chance.randrange(-32768, 32768) for _ in range(400)]).tobytes())
    made = array.array("h", repetition.conceal(600))
    assert level(made[:100]) > 5000
    assert not any(made[480:])
