"""How long an answer takes, and where turns lie in time: the arithmetic, on a clock that the test makes up."""

from typing import Any

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.e2e

LOUD, QUIET = 0.2, 0.0

# Steps: [time, {"out": level, "back": level}] for a frame, [time, event] for an event of the server's.
PLAY = """async (steps) => {
    const { Conversation } = await import("/conversation.js");
    const conversation = new Conversation();
    for (const [at, step] of steps) {
        if (step.type) conversation.receive(step, at);
        else if (step.written) conversation.interruptTimes();
        else conversation.listen(at, step.out ?? 0, step.back ?? 0);
    }
    const turns = conversation.entries.filter(({ kind }) => kind === "turn");
    return { times: conversation.times, turns, spans: turns.map((turn) => conversation.spanOf(turn)) };
}"""


@pytest.fixture(scope="module")
def page(chromium, running_edge) -> Page:
    page = chromium.new_page()
    page.goto(running_edge.url)
    return page


Step = tuple[float, dict[str, Any]]


def frames(start: int, stop: int, *, out: float = QUIET, back: float = QUIET) -> list[Step]:
    return [(at, {"out": out, "back": back}) for at in range(start, stop, 20)]


def stopped(at: float, end_ms: int = 0, item_id: str = "i") -> Step:
    return (at, {"type": "input_audio_buffer.speech_stopped", "item_id": item_id, "audio_end_ms": end_ms})


def began(at: float, start_ms: int = 0, item_id: str = "i") -> Step:
    return (at, {"type": "input_audio_buffer.speech_started", "item_id": item_id, "audio_start_ms": start_ms})


def audio(at: float, kind: str = "started", response_id: str = "r") -> Step:
    return (at, {"type": f"output_audio_buffer.{kind}", "response_id": response_id})


def play(page: Page, *parts: Step | list[Step]) -> dict[str, Any]:
    steps = [step for part in parts for step in (part if isinstance(part, list) else [part])]
    played: dict[str, Any] = page.evaluate(PLAY, sorted(steps, key=lambda step: step[0]))
    return played


SPEECH = [*frames(0, 1000, out=LOUD), *frames(1000, 1700)]  # falls silent after the frame at 980 ms


def test_both_ways_of_measuring(page):
    answer = frames(1700, 2000, back=LOUD)
    played = play(page, SPEECH, began(60), stopped(1510), audio(1600), answer)
    assert played["times"]["heard"] == {"count": 1, "last": 1700 - 980, "median": 720}
    assert played["times"]["agent"] == {"count": 1, "last": 1600 - 1510, "median": 90}


def test_an_answer_that_is_heard_before_the_end_of_the_turn_is_told(page):
    played = play(page, SPEECH, began(60), frames(1701, 2000, back=LOUD), stopped(1850), audio(1900))
    assert played["times"]["heard"]["last"] == 1701 - 980


def test_pauses_within_words_are_no_ends(page):
    speech = [*frames(0, 500, out=LOUD), *frames(500, 640), *frames(640, 1000, out=LOUD), *frames(1000, 1700)]
    played = play(page, speech, began(60), stopped(1510), audio(1600), frames(1700, 2000, back=LOUD))
    assert played["times"]["heard"]["last"] == 720


def test_who_is_answered_while_the_agent_speaks_already_has_not_waited(page):
    spoken_over = [*frames(0, 1000, out=LOUD, back=LOUD), *frames(1000, 2500, back=LOUD)]
    next_sentence = [*frames(2500, 3000), *frames(3000, 3500, back=LOUD)]
    played = play(page, spoken_over, began(60), stopped(1510), audio(1600), next_sentence)
    assert played["times"]["heard"]["count"] == 0
    assert played["times"]["agent"]["last"] == 90


def test_a_page_that_heard_nothing_measures_nothing(page):
    played = play(page, began(60), stopped(1510), audio(1600))
    assert played["times"]["heard"] == {"count": 0, "last": None, "median": None}


@pytest.mark.parametrize("between", [began(1650, 1600, "j"), (1650, {"written": True})], ids=["speech", "text"])
def test_what_comes_after_something_else_answers_that(page, between):
    played = play(page, SPEECH, began(60), stopped(1510), between, audio(1700), frames(1720, 2000, back=LOUD))
    assert (played["times"]["heard"]["count"], played["times"]["agent"]["count"]) == (0, 0)


def test_a_second_answer_to_the_same_turn_counts_no_more(page):
    answers = [*frames(1700, 2000, back=LOUD), *frames(2000, 4000), *frames(4000, 4200, back=LOUD)]
    played = play(page, SPEECH, began(60), stopped(1510), audio(1600), answers, audio(3950, response_id="s"))
    assert (played["times"]["heard"]["last"], played["times"]["agent"]["last"]) == (720, 90)


def test_steady_noise_is_no_sound(page):
    noise = 0.008
    room = [*frames(0, 15_000, out=noise), *frames(15_000, 16_000, out=LOUD), *frames(16_000, 16_700, out=noise)]
    answer = frames(16_701, 17_000, out=noise, back=LOUD)
    played = play(page, room, began(15_060), stopped(16_510), audio(16_600), answer)
    assert played["times"]["heard"]["last"] == 16_701 - 15_980


@pytest.mark.parametrize(("waits", "median"), [([100], 100), ([300, 100], 200), ([500, 100, 200], 200)])
def test_the_median(page, waits, median):
    steps: list[Step] = []
    for n, wait in enumerate(waits):
        start = 10_000 * n
        steps += [began(start, start, f"i{n}"), stopped(start + 1000, start + 1000, f"i{n}")]
        steps += [audio(start + 1000 + wait, response_id=f"r{n}")]
    assert play(page, steps)["times"]["agent"] == {"count": len(waits), "last": waits[-1], "median": median}


def test_turns_lie_where_their_sound_was(page):
    """The server's clock began at 1000 ms of ours; it tells of a beginning 360 ms late, of an end 10 ms late."""
    played = play(page, began(1000 + 2000 + 360, 2000), stopped(1000 + 5000 + 10, 5000))
    assert played["spans"] == [[3010, 6010]]


def test_an_agent_that_counts_anew(page):
    first = [began(100_360, 100_000, "a"), stopped(102_010, 102_000, "a")]
    second = [began(110_360, 500, "b"), stopped(112_000, 2_150, "b")]
    assert play(page, first, second)["spans"][1] == [110_350, 112_000]


def test_a_turn_without_milliseconds_lies_where_it_was_told(page):
    began_so, stopped_so = (
        {"type": f"input_audio_buffer.speech_{word}", "item_id": "i"} for word in ("started", "stopped")
    )
    played = play(page, (100, began_so), (900, stopped_so))
    assert played["spans"] == [[100, 900]]
