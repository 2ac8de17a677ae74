"""Converting rates piece by piece gives what the whole would have become."""

import random

import pytest

from transceiver.audio.resampling import Resampler
from wire.errors import LocalProtocolError

RATES = (8000, 16000, 24000, 48000)
PAIRS = [(source, rate) for source in RATES for rate in RATES if source != rate]


@pytest.mark.parametrize(("source", "rate"), [*PAIRS, (44100, 48000)])
def test_pieces_make_the_same_as_the_whole(sound, source, rate):
    tone = sound.tone(440, 0.5, source)
    whole = Resampler(source, rate)
    expected = whole.resample(tone) + whole.finish()
    assert len(expected) == rate  # half a second
    chance = random.Random(rate)
    pieces = Resampler(source, rate)
    made, at = b"", 0
    while at < len(tone):
        size = 2 * chance.randrange(0, source // 25)
        made += pieces.resample(tone[at : at + size])
        at += size
    assert made + pieces.finish() == expected


@pytest.mark.parametrize(("source", "rate"), PAIRS)
def test_a_tone_keeps_its_level_and_has_no_clicks(sound, source, rate):
    size = source // 50 * 2
    tone = sound.tone(440, 1, source)
    resampler = Resampler(source, rate)
    frames = [resampler.resample(tone[at : at + size]) for at in range(0, len(tone), size)]
    # All frames but the first, which lacks what is in the filter, are as long as they went in.
    assert {len(frame) for frame in frames[1:]} == {rate // 50 * 2}
    assert len(frames[0]) == rate // 50 * 2 - 2 * 16 * rate // min(source, rate)
    steady = b"".join(frames[2:])
    assert sound.strength(steady, 440, rate) == pytest.approx(8000, rel=0.02)
    assert sound.largest_step(steady) < 8000 * 2 * 3.15 * 440 / rate


def test_what_the_lower_rate_cannot_carry_is_filtered_out(sound):
    resampler = Resampler(24000, 8000)
    made = resampler.resample(sound.tone(6000, 0.5, 24000)) + resampler.finish()
    assert sound.rms(made[400:-400]) < 80


def test_the_same_rate_is_passed_through():
    resampler = Resampler(8000, 8000)
    assert resampler.resample(b"\1\2\3\4") == b"\1\2\3\4"
    assert resampler.finish() == b""


def test_half_a_sample_is_refused():
    with pytest.raises(LocalProtocolError):
        Resampler(8000, 16000).resample(b"\0")
