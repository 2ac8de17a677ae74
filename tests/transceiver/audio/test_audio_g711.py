"""G.711 against its tables, and against FFmpeg's."""

import array

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.audio.g711 import PCMA, PCMU

LAWS = {"µ": PCMU, "A": PCMA}
EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = array.array("h", range(-32768, 32768)).tobytes()


def values(law, codes):
    return array.array("h", law.decode(bytes(codes))).tolist()


def codes(law, *samples):
    return list(law.encode(array.array("h", samples).tobytes()))


def test_extremes_of_the_mu_law():
    # ITU-T G.711, table 2: character signals, and outputs of 14 bits.
    assert values(PCMU, [0xFF, 0xFE, 0x80, 0x7F, 0x7E, 0x00]) == [0, 2 * 4, 8031 * 4, 0, -2 * 4, -8031 * 4]
    assert values(PCMU, [0xEF, 0xDF, 0xCF, 0xBF, 0xAF, 0x9F, 0x8F]) == [
        4 * value for value in (33, 99, 231, 495, 1023, 2079, 4191)
    ]
    assert codes(PCMU, 0, 3, 4, 32767, -1, -4, -32768) == [0xFF, 0xFF, 0xFE, 0x80, 0x7F, 0x7E, 0x00]


def test_extremes_of_the_a_law():
    # ITU-T G.711, table 1, with every other bit inverted; outputs of 13 bits.
    assert values(PCMA, [0xD5, 0xD4, 0xAA, 0x55, 0x54, 0x2A]) == [8, 24, 4032 * 8, -8, -24, -4032 * 8]
    assert values(PCMA, [0xC5, 0xF5, 0xE5, 0x95, 0x85, 0xB5, 0xA5]) == [
        8 * value for value in (33, 66, 132, 264, 528, 1056, 2112)
    ]
    assert codes(PCMA, 0, 15, 16, 32767, -1, -16, -32768) == [0xD5, 0xD5, 0xD4, 0xAA, 0x55, 0x54, 0x2A]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_coding_twice_changes_nothing_more(law):
    once = law.decode(law.encode(EVERY_SAMPLE))
    assert law.decode(law.encode(once)) == once


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_code_but_negative_zero_comes_back(law):
    back = law.encode(law.decode(EVERY_CODE))
    assert [code for code in EVERY_CODE if back[code] != code] in ([], [0x7F])


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_error_is_within_half_a_step(law):
    samples = array.array("h", EVERY_SAMPLE).tolist()
    for sample, coded in zip(samples, values(law, law.encode(EVERY_SAMPLE)), strict=True):
        assert abs(coded - sample) <= max(abs(sample) / 32 + 5, 9)
        assert coded == 0 or (coded < 0) == (sample < 0)


@pytest.mark.parametrize(("law", "name"), [(PCMU, "pcm_mulaw"), (PCMA, "pcm_alaw")])
def test_decoding_agrees_with_ffmpeg(law, name):
    context = av.CodecContext.create(name, "r")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    frames = context.decode(av.Packet(EVERY_CODE))
    assert b"".join(bytes(frame.planes[0])[:512] for frame in frames) == law.decode(EVERY_CODE)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_silence_is_coded_as_silence(law):
    assert set(law.encode(bytes(320))) == {law.silence}
    assert max(map(abs, values(law, [law.silence]))) <= 8


@given(payload=st.binary(max_size=400))
def test_lengths_correspond(payload):
    for law in LAWS.values():
        assert len(law.decode(payload)) == 2 * len(payload)
        assert len(law.encode(law.decode(payload))) == len(payload)


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError, match="bytes"):
        PCMU.encode(b"\0\0\0")
