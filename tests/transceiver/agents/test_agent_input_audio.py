"""The input audio buffer holds what may become part of a turn, and nothing else."""

import pytest

from transceiver.agents.input_audio import InputAudio
from transceiver.agents.turns import SpeechBegan, SpeechEnded, TurnOptions

RATE = 24_000


def buffer(turns: TurnOptions | None, seconds: float = 2.0) -> InputAudio:
    return InputAudio(rate=RATE, turns=turns, max_samples=round(seconds * RATE))


def feed(held: InputAudio, pcm: bytes, size: int = 960) -> list:
    found = []
    for offset in range(0, len(pcm), size):
        found += held.receive(pcm[offset : offset + size])
        if found:
            break
    return found


@pytest.mark.parametrize("size", [960, 1000, 4800])
def test_while_nobody_speaks_only_the_padding_is_held(silence, tone, size: int) -> None:
    held = buffer(TurnOptions(prefix_padding_ms=300))
    feed(held, silence(10.0), size)
    assert 0.3 * RATE <= held.held_samples <= 0.4 * RATE + size
    assert held.dropped_samples == 0, "nobody will miss it"
    (began,) = feed(held, tone(0.5), size)
    assert isinstance(began, SpeechBegan)
    assert began.sample >= held.position - held.held_samples, "the padding is still there"


def test_what_is_said_is_held_to_its_end_and_taken_once(silence, syllables) -> None:
    held = buffer(TurnOptions(prefix_padding_ms=0, silence_duration_ms=200, max_speech_ms=2000))
    feed(held, silence(1.0))
    (began,) = feed(held, syllables(0.68))
    held.skip_to(began.sample)
    feed(held, syllables(0.68)[2 * (held.position - RATE) :])
    (ended,) = feed(held, silence(1.0))
    assert isinstance(ended, SpeechEnded)
    assert held.take(ended.sample) == syllables(0.68) + silence(0.2)
    assert held.held_samples == 0


def test_without_a_detector_the_newest_is_held(silence, tone) -> None:
    held = buffer(None)
    feed(held, silence(5.0) + tone(1.5))
    assert held.dropped_samples == pytest.approx(4.5 * RATE, abs=480)
    assert held.take().endswith(tone(1.5))


def test_clearing_forgets_a_turn_that_has_begun(tone) -> None:
    held = buffer(TurnOptions())
    feed(held, tone(0.5))
    assert held.is_speech
    held.clear()
    assert not held.is_speech
    assert held.held_samples == 0
    (began,) = feed(held, tone(0.5))
    assert isinstance(began, SpeechBegan)
