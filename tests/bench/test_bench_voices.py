"""What is measured of calls with a voice: rows, sharp sounds, delays."""

import array

import pytest

from bench.bridged_cpu import Rounds, rows_of
from bench.onsets import OnsetDetector, onset_clip, pair_times, quantile, tone
from bench.servers import EDGE
from bench.stretch import Stretch
from bench.voice_delay import delays_of
from transceiver.audio.opus import OpusDecoder


def stretch(**cpu):
    """Forty seconds of calls, fifty frames each."""
    return Stretch(
        streams=10,
        seconds=4.0,
        sent=2000,
        received=2000,
        lost=0,
        lateness=0.001,
        cpu=cpu,
        own_cpu=1.0,
        cores_used=0.6,
    )


def test_the_backends_cpu_is_not_the_calls():
    tiers = dict(zip(EDGE, (0.04, 0.08, 0.40), strict=True))
    rounds = Rounds(
        ours=[stretch(**tiers, backend=9.0)],
        socket=[stretch(**{name: 2 * used for name, used in tiers.items()}, backend=0.8)],
        ours_as_theirs=[stretch(**{name: 1.5 * used for name, used in tiers.items()})],
        aiortc=[stretch(aiortc=2.6)],
        bare=[0.01],
        bare_as_theirs=[0.013],
    )
    whole, transceiver, socket, aiortc, as_theirs, least = rows_of(rounds)
    assert whole.ratio == pytest.approx(0.52 / 40 / 0.01)
    assert transceiver.ratio == pytest.approx(0.40 / 40 / 0.01)
    assert socket.ratio == pytest.approx(1.04 / 40 / 0.01)
    assert "2.000% of a core" in socket.notes[-1]  # the backend's, told beside it
    assert aiortc.ratio == pytest.approx(0.2)
    assert (whole.must, whole.want) == (1.4, 1.2)
    assert as_theirs.ratio == pytest.approx(0.3)
    assert least.ratio == pytest.approx(0.2)
    assert (aiortc.must, aiortc.want) == (as_theirs.must, as_theirs.want) == (1 / 5, 1 / 7)
    assert least.must is None


def test_the_clip_has_one_onset_that_is_heard_within_its_packet():
    clip, loud = onset_clip()
    decoder, detector = OpusDecoder(48000), OnsetDetector(48000)
    for _ in range(3):  # as it goes round in a call
        heard = [number for number, packet in enumerate(clip.packets) if detector.hears(decoder.decode(packet))]
        assert heard == [loud]
    assert set(clip.samples) == {960}


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_a_sound_is_an_onset_once_and_only_after_quiet(rate):
    detector = OnsetDetector(rate)
    quiet = bytes(rate // 50 * 2)
    assert not detector.hears(tone(rate))  # nobody knows what was before
    assert [detector.hears(quiet) for _ in range(2)] == [False, False]
    assert not detector.hears(tone(rate))  # 40 ms are no pause
    assert [detector.hears(quiet) for _ in range(3)] == [False, False, False]
    assert detector.hears(tone(rate))
    assert not detector.hears(tone(rate))
    assert not detector.hears(b"")


def test_a_tone_is_loud_in_its_first_millisecond():
    assert max(array.array("h", tone(24000)[:48])) > 15_000


def test_sounds_are_paired_with_what_is_heard_of_them():
    made = [1.0, 2.0, 3.0]
    assert list(pair_times(made, [0.9, 1.01, 2.4, 3.02], 0.25)) == pytest.approx([0.01, 0.02])
    assert list(pair_times(made, [], 0.25)) == []


def test_a_quantile_is_one_of_the_values():
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert [quantile(values, share) for share in (0.0, 0.2, 0.5, 0.95, 1.0)] == [1.0, 1.0, 3.0, 5.0, 5.0]


def test_delays_are_put_together_by_call():
    log = """
        {"event": "call established"}
        onset-heard onsets0 10.004
        onset-heard onsets1 10.007
        onset-said onsets0 10.100
        onset-said onsets1 10.101
        onset-said socket-onsets0 10.0
    """
    probed = {
        "said": {"onsets0": [10.0], "onsets1": [10.0]},
        "heard": {"onsets0": [10.112], "onsets1": [10.108]},
    }
    to_backend, to_ear = delays_of(probed, log)
    assert to_backend == pytest.approx([0.004, 0.007])
    assert to_ear == pytest.approx([0.012, 0.007])
