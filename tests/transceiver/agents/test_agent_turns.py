"""Turns are found where people hear them, whatever the rate, the noise and the size of the pieces."""

import math
import random
import struct

import pytest

from transceiver.agents.options import RATES
from transceiver.agents.turns import SpeechBegan, SpeechEnded, TurnDetector, TurnOptions, levels_of, trim_silence
from wire.errors import LocalProtocolError

RATE = 24_000


def detect(pcm: bytes, rate: int = RATE, frame_ms: float = 20, **options: float) -> list[tuple[str, float, float]]:
    """List what is found: its name, where it says it is, and what was heard by then; in milliseconds."""
    detector = TurnDetector(rate=rate, options=TurnOptions(**options))  # type: ignore[arg-type]
    size = 2 * round(rate * frame_ms / 1000)
    found = []
    for offset in range(0, len(pcm), size):
        for change in detector.receive(pcm[offset : offset + size]):
            heard = min(offset + size, len(pcm)) // 2
            found.append((type(change).__name__, change.sample * 1000 / rate, heard * 1000 / rate))
    return found


@pytest.mark.parametrize("rate", RATES)
def test_a_turn_is_noticed_within_60_ms_and_ends_after_the_silence(rate: int, tone, silence) -> None:
    pcm = silence(1.0, rate) + tone(0.8, rate) + silence(1.0, rate)
    assert detect(pcm, rate) == [("SpeechBegan", 700, 1060), ("SpeechEnded", 2300, 2300)]


def test_padding_and_silence_are_configured(tone, silence) -> None:
    pcm = silence(1.0) + tone(0.8) + silence(1.0)
    found = detect(pcm, prefix_padding_ms=100, silence_duration_ms=200)
    assert found == [("SpeechBegan", 900, 1060), ("SpeechEnded", 2000, 2000)]


def test_padding_never_reaches_into_what_was_before(tone, silence) -> None:
    assert detect(tone(0.2))[0] == ("SpeechBegan", 0, 60)
    found = detect(silence(1.0) + tone(0.5) + silence(0.5) + tone(0.5))
    assert found[1:] == [("SpeechEnded", 2000, 2000), ("SpeechBegan", 2000, 2060)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hertz", range(100, 3500, 100))
def test_no_round_pitch_is_missed(rate: int, hertz: int, tone) -> None:
    assert detect(tone(0.1, rate, hertz), rate)


def test_a_click_is_no_speech(tone, silence) -> None:
    assert detect(silence(0.5) + tone(0.03) + silence(0.5) + tone(0.03) + silence(0.1)) == []


def test_a_pause_between_words_ends_nothing(syllables, silence) -> None:
    found = detect(syllables(20.0) + silence(0.6))
    assert [name for name, *_ in found] == ["SpeechBegan", "SpeechEnded"]


def test_a_voice_that_fades_is_followed_down(tone, silence) -> None:
    loud, soft = tone(0.5), tone(0.6, amplitude=85)  # 85 is quieter than what would begin a turn
    assert detect(soft) == []
    assert detect(loud + soft + silence(0.6))[-1] == ("SpeechEnded", 1600, 1600)


def test_a_higher_threshold_wants_more(tone) -> None:
    soft = tone(0.5, amplitude=200)
    assert detect(soft, threshold=0.5)
    assert not detect(soft, threshold=0.9)
    assert detect(tone(0.5, amplitude=30), threshold=0.0)


def test_a_fan_becomes_background_and_a_voice_is_heard_over_it(noise) -> None:
    fan = noise(12.0, amplitude=1000)
    began, ended = detect(fan)
    assert began[0] == "SpeechBegan"
    assert ended[0] == "SpeechEnded"
    assert 8000 <= ended[2] <= 9600
    rng = random.Random(2)
    voice = struct.pack("<24000h", *(rng.randint(-9000, 9000) for _ in range(24_000)))
    found = detect(fan + voice + fan[:96_000])
    assert [name for name, *_ in found[2:]] == ["SpeechBegan", "SpeechEnded"]
    assert found[2][2] == 12_060
    assert found[3][2] == 13_500


def test_a_turn_has_a_longest(syllables) -> None:
    found = detect(syllables(5.0), max_speech_ms=2000)
    assert [(name, heard) for name, _, heard in found[:3]] == [
        ("SpeechBegan", 60),
        ("SpeechEnded", 2000),
        ("SpeechBegan", 2060),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_of_any_size_give_the_same_turns(seed: int, syllables, silence) -> None:
    pcm = silence(0.7) + syllables(1.2) + silence(0.61) + syllables(0.9) + silence(0.6)
    whole = TurnDetector(rate=RATE, options=TurnOptions()).receive(pcm)
    assert [type(change) for change in whole] == [SpeechBegan, SpeechEnded] * 2
    rng = random.Random(seed)
    detector = TurnDetector(rate=RATE, options=TurnOptions())
    found: list = []
    offset = 0
    while offset < len(pcm):
        size = 2 * rng.choice((1, 7, 240, 480, 481, 2400, 30_000))
        found += detector.receive(pcm[offset : offset + size])
        offset += size
    assert found == list(whole)


def test_a_restart_forgets_the_turn_and_keeps_count(tone, silence) -> None:
    detector = TurnDetector(rate=RATE, options=TurnOptions())
    detector.receive(tone(0.11))
    assert detector.is_speaking
    detector.restart()
    assert not detector.is_speaking
    (again,) = detector.receive(tone(0.1))
    assert again == SpeechBegan(sample=RATE * 11 // 100)


def test_other_rates_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="44100"):
        TurnDetector(rate=44_100, options=TurnOptions())


def test_levels_are_relative_to_full_scale(tone) -> None:
    full = levels_of(tone(0.2, amplitude=32_767), RATE)
    assert len(full) == 10
    assert all(math.isclose(level, 0, abs_tol=0.5) for level in full)
    assert levels_of(bytes(960), RATE) == [-math.inf]


def test_trimming_keeps_what_is_soft_and_near(tone, silence, noise) -> None:
    words = tone(0.5) + silence(0.3) + tone(0.5, amplitude=600)
    room = noise(0.4, amplitude=60)
    trimmed = trim_silence(room + words + room, RATE)
    assert len(trimmed) == len(words) + 2 * 2 * round(0.06 * RATE)
    assert words in trimmed
    assert trim_silence(silence(1.0), RATE) == b""
    assert trim_silence(b"", RATE) == b""
    assert trim_silence(words[:24_000], RATE) == words[:24_000]
