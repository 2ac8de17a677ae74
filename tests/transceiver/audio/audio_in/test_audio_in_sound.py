"""What is heard of speech and tones behind bad networks: level, timing, and what recovery is worth."""

import array
import math

import av
import pytest

from transceiver.audio.listening_options import LISTENING, Preference
from transceiver.audio.opus import OpusDecoder
from transceiver.audio.opus_packet import has_fec

RATE = 16000
FRAME = RATE // 50
LOUD = 1000.0


@pytest.fixture(scope="module")
def clean(caller, network, listen, speech_frames):
    """What is heard when nothing is lost."""
    return listen(network.carry(caller.packets(speech_frames)), rate=RATE).samples


@pytest.fixture(scope="module")
def fec_frames(caller, speech):
    return caller.frames(speech, RATE, fec=True, expected_loss=0.15, bitrate=32000)


def decibels(heard: float, expected: float) -> float:
    return 20 * math.log10((heard + 1) / (expected + 1))


def test_without_loss_every_sample_is_the_decoder_s(caller, network, listen, speech_frames):
    decoder = OpusDecoder(RATE)
    expected = b"".join(decoder.decode(frame) for frame in speech_frames)
    packets = caller.packets(speech_frames)
    heard = listen(network.carry(packets, delay=network.gamma(0.02), keeps_order=True), rate=RATE)
    assert heard.pcm == expected
    assert heard.facts["delay_added_ms"] == 0


def test_what_was_spoken_is_heard_when_it_was_spoken(measure, clean, speech):
    original = array.array("h", speech)
    for at in (RATE // 2, len(original) - RATE):
        # libopus looks 6.5 ms ahead.
        assert measure.offset(clean, original, at, 3200, 2 * FRAME, 2) == pytest.approx(104, abs=2)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 48000])
def test_at_every_rate_a_tone_keeps_its_level_and_length(caller, network, listen, measure, tone, rate):
    frames = caller.frames(tone(1.0, 16000), 16000)
    heard = listen(network.carry(caller.packets(frames)), rate=rate)
    assert len(heard.samples) == rate
    for level in measure.levels(heard.samples, rate)[1:]:
        assert level == pytest.approx(8000 / math.sqrt(2), rel=0.1)


def decode_with_losses(packets, came, frame):
    """What libopus makes of it, told of each loss by hand."""
    decoder = OpusDecoder(RATE)
    pieces = [
        decoder.decode(packet.payload) if packet.sequence in came else decoder.conceal(frame) for packet in packets
    ]
    return b"".join(pieces)


@pytest.mark.parametrize(
    ("loss", "ms"), [("random", 10), ("random", 20), ("random", 40), ("random", 60), ("gilbert", 20), ("gilbert", 60)]
)
def test_speech_behind_loss_keeps_level_and_timing(caller, network, listen, measure, speech, loss, ms):
    frames = caller.frames(speech, RATE, ms)
    packets = caller.packets(frames, ms=ms)
    expected = listen(network.carry(packets), rate=RATE).samples
    is_lost = network.random_loss(0.1, ms) if loss == "random" else network.gilbert(0.1, 40 / ms + 1, ms)
    arrivals = network.carry([*packets[:-1]], is_lost=is_lost) + network.carry(packets[-1:])
    came = {arrival.packet.sequence for arrival in arrivals}
    lost = [packet.sequence not in came for packet in packets]
    assert 0.05 < sum(lost) / len(lost) < 0.18
    heard = listen(arrivals, rate=RATE)
    # All losses are made good, and not a sample more.
    assert len(heard.samples) == len(expected)
    assert heard.facts["concealed_ms"] + heard.facts["silence_ms"] == sum(lost) * ms
    if ms * max(len(run) for run in "".join("x" if gone else " " for gone in lost).split()) <= 80:
        assert heard.pcm == decode_with_losses(packets, came, RATE * ms // 1000)
    # Timing, at the beginning and at the end.
    for at in (RATE // 2, len(expected) - RATE * 3 // 2):
        assert abs(measure.offset(heard.samples, expected, at, RATE, 2 * FRAME, 12)) <= FRAME // 4
    # Level: what is made up is fainter, the more the longer; beyond, the voice is back.
    window = 0.12
    per_window = round(window * 1000 / ms)
    references = measure.levels(expected, RATE, window)
    for n, level in enumerate(measure.levels(heard.samples, RATE, window)):
        if references[n] < LOUD:
            continue
        # What was lost just before still sounds: the decoder predicts from it.
        if any(lost[max(0, (n - 1) * per_window) : (n + 1) * per_window]):
            assert decibels(level, max(references[max(0, n - 2) : n + 1])) < 3
        else:
            assert abs(decibels(level, references[n])) < 2
    assert -3 < decibels(measure.level(heard.samples), measure.level(expected)) < 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tone_behind_ten_percent_loss_keeps_its_level(caller, network, listen, measure, tone, seed):
    packets = caller.packets(caller.frames(tone(4.0, RATE), RATE))
    arrivals = network.carry(packets, is_lost=network.random_loss(0.1, seed))
    heard = listen(arrivals, rate=RATE)
    came = {arrival.packet.sequence for arrival in arrivals}
    expected = decode_with_losses(packets[: len(heard.samples) // FRAME], came, FRAME)
    assert heard.pcm == expected
    assert heard.facts["concealed_ms"] > 200
    full = 8000 / math.sqrt(2)
    assert -4 < decibels(measure.level(heard.samples), full) < 0.5
    assert max(measure.levels(heard.samples, RATE)) < 1.3 * full


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_forward_error_correction_is_worth_its_bits(caller, network, listen, measure, fec_frames, seed):
    """Against concealment alone, of the same packets and losses."""
    packets = caller.packets(fec_frames)
    expected = listen(network.carry(packets), rate=RATE).samples
    recovered = listen(network.carry(packets, is_lost=network.random_loss(0.1, seed)), rate=RATE)
    assert recovered.facts["recovered_fec"] >= 10
    arrivals = network.carry(packets, is_lost=network.random_loss(0.1, seed))
    concealed = decode_with_losses(packets, {arrival.packet.sequence for arrival in arrivals}, FRAME)
    with_fec = measure.error(recovered.samples, expected)
    without = measure.error(array.array("h", concealed), expected)
    assert with_fec < without / 2


def test_copies_are_looked_for_only_where_they_are(caller, network, listen, speech_frames):
    heard = listen(network.carry(caller.packets(speech_frames), is_lost=network.random_loss(0.1)), rate=RATE)
    assert heard.facts["recovered_fec"] == 0
    assert heard.facts["concealed_ms"] == heard.facts["lost"] * 20


def test_only_the_last_of_a_burst_is_recovered(caller, network, listen, fec_frames):
    packets = caller.packets(fec_frames)
    arrivals = network.carry(packets)
    following = next(n for n in range(40, 100) if has_fec(fec_frames[n]))
    del arrivals[following - 4 : following]
    heard = listen(arrivals, rate=RATE)
    assert heard.facts["recovered_fec"] == 1
    assert heard.facts["concealed_ms"] == 60
    assert len(heard.samples) == len(packets) * FRAME


def test_long_frames_are_recovered_whole(caller, network, listen, measure, speech):
    frames = caller.frames(speech, RATE, 60, fec=True, expected_loss=0.2, bitrate=32000)
    packets = caller.packets(frames, ms=60)
    expected = listen(network.carry(packets), rate=RATE).samples
    arrivals = network.carry(packets)
    at = next(n for n in range(10, 60) if measure.levels(expected, RATE, 0.06)[n] > 2000)
    del arrivals[at]
    heard = listen(arrivals, rate=RATE)
    assert heard.facts["recovered_fec"] == 1
    assert heard.facts["concealed_ms"] == 0
    assert len(heard.samples) == len(expected)


def test_a_path_on_which_packets_overtake_each_other_loses_little(caller, network, listen, measure, speech_frames):
    """Six times the speech, as much jitter as a packet is long: once learned, what comes late is waited for."""
    frames = speech_frames * 6
    packets = caller.packets(frames)
    expected = listen(network.carry(packets), rate=RATE).samples
    errors = {}
    for preference in Preference:
        arrivals = network.carry(packets, delay=network.gamma(0.02))
        heard = listen(arrivals, rate=RATE, options=LISTENING[preference])
        learned = len(expected) // 3
        assert len(heard.samples) == pytest.approx(len(expected), abs=2 * FRAME)
        late = len(expected) - len(heard.samples)  # the very first packets may come too late to be the first
        errors[preference] = measure.error(heard.samples[learned - late :], expected[learned:])
    assert errors[Preference.ACCURATE] < errors[Preference.BALANCED] < errors[Preference.FAST]
    assert errors[Preference.ACCURATE] < 0.01
    assert errors[Preference.BALANCED] < 0.06


@pytest.mark.parametrize(("mean", "lowest", "highest"), [(0.0, 0, 5), (0.005, 10, 40), (0.03, 60, 200)])
def test_the_target_is_that_of_the_path(caller, network, listen, speech_frames, mean, lowest, highest):
    """After a dozen seconds: the lateness that all but one packet in a hundred keep below."""
    packets = caller.packets(speech_frames * 2)
    delay = network.gamma(mean) if mean else lambda: 0.0
    heard = listen(network.carry(packets, delay=delay, keeps_order=True), rate=RATE)
    assert lowest <= heard.facts["jitter_target_ms"] <= highest


def test_duplicates_are_not_heard_twice(caller, network, listen, clean, speech_frames):
    heard = listen(network.carry(caller.packets(speech_frames), duplicated=0.3), rate=RATE)
    assert heard.samples == clean
    assert heard.drops[caller.DropReason.DUPLICATE] > 50


def test_stereo_is_heard_in_mono(caller, network, listen, measure):
    frames = _stereo_tone()
    heard = listen(network.carry(caller.packets(frames)), rate=RATE)
    assert len(heard.samples) == len(frames) * FRAME
    # 9000 on the left and nothing on the right are 4500 in the middle.
    assert measure.levels(heard.samples, RATE)[2] == pytest.approx(4500 / math.sqrt(2), rel=0.1)


def _stereo_tone() -> list[bytes]:
    """Opus of another encoder, which sends two channels."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48000, "stereo", "s16"
    encoder.bit_rate = 96000
    turn = 2 * math.pi * 440 / 48000
    frames = []
    for n in range(25):
        samples = array.array("h")
        for k in range(n * 960, (n + 1) * 960):
            samples.extend([int(9000 * math.sin(turn * k)), 0])
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.sample_rate, frame.pts = 48000, n * 960
        frame.planes[0].update(samples.tobytes())
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    assert len(frames) > 20
    assert all(frame[0] & 0x04 for frame in frames)  # RFC 6716 §3.1: stereo
    return frames
