"""Opus through libopus: levels, loss, settings, and packets that break a rule."""

import contextlib
import gc
import importlib.util
import random
import subprocess
import sys

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transceiver.audio import library
from transceiver.audio.library import OpusUnavailable, ffi, open_libopus
from transceiver.audio.opus import RATES, OpusDecoder, OpusEncoder, OpusOptions
from transceiver.audio.opus_packet import absent_frame, check_packet, frame_samples, has_fec
from wire.errors import LocalProtocolError, MalformedError

FRAME_SECONDS = 0.02


def frames(pcm, rate):
    size = round(rate * FRAME_SECONDS) * 2
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


def encode(pcm, rate, **options):
    with OpusEncoder(rate, options=OpusOptions(**options)) as encoder:
        return [encoder.encode(frame) for frame in frames(pcm, rate)]


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_pitch_and_level_at_every_rate(sound, rate):
    packets = encode(sound.tone(440, 1, rate), rate)
    with OpusDecoder(rate) as decoder:
        pcm = b"".join(decoder.decode(packet) for packet in packets)
    assert len(pcm) == 2 * rate
    assert {check_packet(packet) for packet in packets} == {960}
    assert sound.strength(pcm[rate:], 440, rate) == pytest.approx(8000, rel=0.1)


def test_rates_of_both_sides_are_independent(sound):
    packets = encode(sound.tone(440, 1, 24000), 24000)
    with OpusDecoder(8000) as decoder:
        pcm = b"".join(decoder.decode(packet) for packet in packets)
    assert len(pcm) == 2 * 8000
    assert sound.strength(pcm[8000:], 440, 8000) == pytest.approx(8000, rel=0.1)


def test_lookahead_is_how_late_the_decoded_audio_is(sound):
    silence, tone = bytes(4800), sound.tone(1000, 0.1, 24000)
    encoder = OpusEncoder(24000)
    with encoder, OpusDecoder(24000) as decoder:
        pcm = b"".join(decoder.decode(encoder.encode(frame)) for frame in frames(silence + tone, 24000))
        start = next(n for n, sample in enumerate(sound.samples(pcm)) if abs(sample) > 1000)
        assert start - 2400 == pytest.approx(encoder.lookahead, abs=48)


def test_a_lost_packet_is_recovered_from_the_next_better_than_concealed(sound):
    rate = 24000
    voice = sound.syllables(2, rate)
    packets = encode(voice, rate, fec=True, expected_loss=0.2, bitrate=32000)
    spared = [number for number in range(1, len(packets) - 1) if has_fec(packets[number + 1])]
    assert len(spared) > len(packets) / 3
    errors = {"recovered": 0.0, "concealed": 0.0}
    with OpusDecoder(rate) as whole:
        heard = [whole.decode(packet) for packet in packets]
    for way in errors:
        with OpusDecoder(rate) as decoder:
            for number, packet in enumerate(packets):
                if number not in spared or number % 4:
                    decoder.decode(packet)
                    continue
                pcm = decoder.recover(packets[number + 1], 480) if way == "recovered" else decoder.conceal(480)
                assert len(pcm) == 960
                missed = zip(sound.samples(pcm), sound.samples(heard[number]), strict=True)
                errors[way] += sum((got - wanted) ** 2 for got, wanted in missed)
    assert errors["recovered"] < errors["concealed"] / 2


def test_without_expected_loss_no_bits_go_into_copies(sound):
    voice = sound.syllables(1, 24000)
    assert not any(has_fec(packet) for packet in encode(voice, 24000, fec=True, expected_loss=0))
    assert not any(has_fec(packet) for packet in encode(voice, 24000, fec=False, expected_loss=0.2))


def test_concealment_goes_on_and_fades(sound):
    with OpusDecoder(24000) as decoder:
        for packet in encode(sound.tone(300, 0.5, 24000), 24000):
            last = decoder.decode(packet)
        first = decoder.conceal(480)
        assert sound.rms(first) > sound.rms(last) / 3
        for _ in range(20):
            final = decoder.conceal(480)
        assert sound.rms(final) < sound.rms(first) / 10


@pytest.mark.parametrize("samples", [60, 480, 2880])
def test_a_gap_is_filled_to_the_sample(samples):
    with OpusDecoder(24000) as decoder:
        assert len(decoder.conceal(samples)) == 2 * samples
        assert len(decoder.recover(b"\xf8\xff\xfe", samples)) == 2 * samples


@pytest.mark.parametrize("samples", [-60, 0, 1, 100, 2940])
def test_a_gap_that_libopus_cannot_count_is_refused(samples):
    with OpusDecoder(24000) as decoder, pytest.raises(LocalProtocolError):
        decoder.conceal(samples)


def test_dtx_makes_packets_of_one_byte_after_a_while_of_silence():
    sizes = [len(packet) for packet in encode(bytes(24000 * 2), 24000, dtx=True)]
    assert sizes[0] > 2
    assert sizes.count(1) > len(sizes) / 2
    assert min(len(packet) for packet in encode(bytes(24000 * 2), 24000, dtx=False)) > 1


def test_the_bitrate_may_change_at_any_time(sound):
    voice = frames(sound.syllables(2, 24000), 24000)
    with OpusEncoder(24000) as encoder:
        sizes = {}
        for bitrate in (48000, 12000):
            encoder.bitrate = bitrate
            sizes[bitrate] = sum(len(encoder.encode(frame)) for frame in voice)
        assert sizes[48000] > 3 * sizes[12000]
        assert encoder.bitrate == 12000


def test_without_vbr_all_packets_are_alike(sound):
    voice = sound.syllables(1, 24000)
    assert len({len(packet) for packet in encode(voice, 24000, vbr=False)}) == 1
    assert len({len(packet) for packet in encode(voice, 24000, vbr=True)}) > 10


def test_it_is_told_that_it_hears_a_voice(sound):
    # At this bitrate libopus would choose CELT, which has no FEC, for anything else.
    packets = encode(sound.syllables(1, 24000), 24000, bitrate=72000)
    assert all(packet[0] >> 3 < 16 for packet in packets)


@pytest.mark.parametrize(
    ("name", "value"), [("complexity", 11), ("bitrate", 0), ("expected_loss", 1.5), ("expected_loss", -0.1)]
)
def test_options_out_of_range_are_refused(name, value):
    with pytest.raises(LocalProtocolError):
        OpusEncoder(24000, options=attrs.evolve(OpusOptions(), **{name: value}))


@pytest.mark.parametrize("make", [OpusEncoder, OpusDecoder])
def test_a_rate_that_libopus_does_not_know_is_refused(make):
    with pytest.raises(LocalProtocolError):
        make(44100)


@pytest.mark.parametrize("size", [0, 2, 958, 959, 961, 962, 48000])
def test_what_is_no_frame_is_refused(size):
    with OpusEncoder(24000) as encoder, pytest.raises(LocalProtocolError):
        encoder.encode(bytes(size))


def test_reset_forgets(sound):
    tone = sound.tone(440, 0.02, 24000)
    with OpusEncoder(24000) as encoder, OpusDecoder(24000) as decoder:
        first = [encoder.encode(tone) for _ in range(3)]
        heard = [decoder.decode(packet) for packet in first]
        assert [encoder.encode(tone) for _ in range(3)] != first
        encoder.reset()
        decoder.reset()
        assert [encoder.encode(tone) for _ in range(3)] == first
        assert [decoder.decode(packet) for packet in first] == heard


def test_closing_frees_at_once_and_a_closed_codec_says_so(monkeypatch):
    freed = []
    real = open_libopus()

    class Counting:
        def __getattr__(self, name):
            return getattr(real, name)

        def opus_encoder_destroy(self, state):
            freed.append("encoder")
            real.opus_encoder_destroy(state)

        def opus_decoder_destroy(self, state):
            freed.append("decoder")
            real.opus_decoder_destroy(state)

    monkeypatch.setattr("transceiver.audio.opus.open_libopus", Counting)
    encoder, decoder = OpusEncoder(24000), OpusDecoder(24000)
    for codec in (encoder, decoder, encoder, decoder):
        codec.close()
    gc.collect()
    assert freed == ["encoder", "decoder"]
    for use in (
        lambda: encoder.encode(bytes(960)),
        lambda: setattr(encoder, "bitrate", 20000),
        lambda: decoder.decode(b"\xf8\xff\xfe"),
        lambda: decoder.conceal(480),
        decoder.reset,
        encoder.reset,
    ):
        with pytest.raises(LocalProtocolError):
            use()


# -- packets

# RFC 6716 §3.4, each rule broken and kept.
BROKEN = [
    "",  # R1
    "78" + "00" * 1276,  # R2
    "79" + "00" * 2552,  # R2
    "7a01" + "00" * 1277,  # R2
    "7b02" + "00" * 2552,  # R2
    "7900",  # R3
    "7a",  # R4
    "7afc",  # R4
    "7a01",  # R4
    "7b00",  # R5
    "7b07" + "00" * 7,  # R5: 140 ms
    "7b",  # R6
    "7b02000000",  # R6
    "7b41",  # R6, padding length
    "7b41ff",  # R6, padding length
    "7b4101",  # R6, padding
    "7b82",  # R7
    "7b8205",  # R7
    "7b83fc",  # R7
]
SOUND = {
    "78": 960,
    "78" + "00" * 1275: 960,
    "08": 960,
    "18aa": 2880,
    "790000": 1920,
    "79": 1920,
    "7a00": 1920,
    "7afc00" + "00" * 252: 1920,
    "7b06": 5760,
    "8330": 5760,
    "7b4100": 960,
    "7b4101aa00": 960,
    "7b41ff00" + "00" * 254: 960,
    "7b820155": 1920,
    "7b8100": 960,
}


@pytest.mark.parametrize("packet", BROKEN)
def test_a_packet_that_breaks_a_rule_is_refused(packet):
    data = bytes.fromhex(packet)
    with pytest.raises(MalformedError):
        check_packet(data)
    with OpusDecoder(24000) as decoder:
        with pytest.raises(MalformedError):
            decoder.decode(data)
        with pytest.raises(MalformedError):
            decoder.recover(data, 480)


@pytest.mark.parametrize(("packet", "samples"), SOUND.items())
def test_a_packet_that_keeps_them_is_as_long_as_it_says(packet, samples):
    data = bytes.fromhex(packet)
    assert check_packet(data) == samples
    with OpusDecoder(24000) as decoder:
        assert len(decoder.decode(data)) == samples


@pytest.fixture(scope="module")
def oracle():
    """How libopus divides packets itself; not all builds tell, so not all of this project relies on it."""
    declarations = type(ffi)()
    declarations.cdef(
        """
        int opus_packet_parse(const char *data, int32_t size, unsigned char *toc, const unsigned char *frames[48],
                              int16_t sizes[48], int *offset);
        int opus_packet_has_lbrr(const char *data, int32_t size);
        """
    )
    found = declarations.dlopen(next(library.candidates()))
    if not hasattr(found, "opus_packet_has_lbrr"):
        pytest.skip("this libopus is older than 1.5")
    toc, places, sizes = (declarations.new(kind) for kind in ("unsigned char *", "unsigned char *[48]", "int16_t[48]"))

    def tell(data):
        count = found.opus_packet_parse(data, len(data), toc, places, sizes, declarations.NULL)
        if count < 0:
            return None
        return count * frame_samples(data[0]), found.opus_packet_has_lbrr(data, len(data)) == 1

    return tell


@given(
    first=st.integers(0, 255),
    rest=st.one_of(st.binary(max_size=40), st.integers(0, 2600).map(lambda size: bytes([size & 0xFF]) * size)),
)
def test_packets_are_read_as_libopus_reads_them(oracle, first, rest):
    _compare(oracle, bytes([first]) + rest)


def test_many_packets_are_read_as_libopus_reads_them(oracle):
    chance = random.Random(6716)
    told = [
        _compare(oracle, bytes([chance.randrange(256), chance.choice(range(256))]) + chance.randbytes(size))
        for size in range(60)
        for _ in range(60)
    ]
    assert 500 < sum(told) < 3200


def _compare(oracle, data):
    expected = oracle(data)
    if expected is None:
        with pytest.raises(MalformedError):
            check_packet(data)
        return False
    assert (check_packet(data), has_fec(data)) == expected
    return True


@given(data=st.binary(max_size=200))
def test_bytes_of_a_peer_raise_nothing_but_malformed(data):
    with OpusDecoder(24000) as decoder, contextlib.suppress(MalformedError):
        decoder.decode(data)
        decoder.recover(data, 480)


def test_an_absent_frame_is_as_long_as_its_model():
    packet = absent_frame(0x7B)
    assert len(packet) == 1
    assert check_packet(packet) == 960
    assert not has_fec(packet)


# -- the library


def test_libopus_comes_with_pip_and_pyav_is_not_imported():
    code = (
        "import sys; from transceiver.audio.library import *; library = open_libopus();"
        "print(ffi.string(library.opus_get_version_string()).decode(), 'av' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.startswith("libopus 1.")
    assert told.split()[-1] == "False"


def test_without_pyav_the_system_is_asked_and_without_that_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    names = list(library.candidates())
    assert names
    assert not any("/" in name for name in names)
    monkeypatch.setattr(library, "candidates", lambda: ["no-such-libopus.so"])
    with pytest.raises(OpusUnavailable, match=r"pip install.*libopus0.*no-such-libopus\.so"):
        open_libopus.__wrapped__()
