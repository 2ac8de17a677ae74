"""What a backend says, faster or slower than it is heard."""

import array
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from transceiver.audio.speech_queue import (
    MAX_KNOWN,
    MAX_QUEUED,
    Drained,
    DropReason,
    Heard,
    SpeechQueue,
    Started,
)
from transceiver.backends.contract import Speech

RATE = 24000
FRAME = 480

FIRST = Speech("r1", "i1")
SECOND_PART = Speech("r1", "i1", 1)
OTHER = Speech("r2", "i2")


def pcm(samples, start=1):
    """Samples that count from `start` on, so that none looks like another or like silence."""
    return array.array("h", range(start, start + samples)).tobytes()


@pytest.fixture
def queue():
    return SpeechQueue(rate=RATE)


def take_all(queue, samples=FRAME):
    taken = []
    while (frame := queue.take(samples)) is not None:
        taken.append(frame)
    return taken


def test_a_response_is_said_whole_and_its_end_is_filled_with_silence(queue):
    assert queue.push(FIRST, pcm(1000))
    queue.finish("r1")
    assert queue.take_events() == []
    frames = [queue.take(FRAME), queue.take(FRAME)]
    assert queue.take_events() == [Started(response_id="r1")]
    assert queue.playing == FIRST
    frames.append(queue.take(FRAME))
    assert queue.take_events() == [Drained(response_id="r1")]
    assert queue.playing is None
    assert b"".join(frames) == pcm(1000) + bytes(2 * (3 * FRAME - 1000))
    assert queue.take(FRAME) is None
    assert queue.take_events() == []


def test_a_response_of_one_frame_starts_before_it_drains(queue):
    queue.push(FIRST, pcm(100))
    queue.finish("r1")
    queue.take(FRAME)
    assert queue.take_events() == [Started(response_id="r1"), Drained(response_id="r1")]


def test_it_drains_when_the_backend_finishes_after_the_last_frame_was_taken(queue):
    queue.push(FIRST, pcm(FRAME))
    assert queue.take(FRAME) is not None
    assert queue.take(FRAME) is None
    assert queue.take_events() == [Started(response_id="r1")]
    assert queue.playing == FIRST
    queue.finish("r1")
    assert queue.take_events() == [Drained(response_id="r1")]
    queue.finish("r1")
    assert queue.take_events() == []


def test_a_backend_slower_than_the_voice_makes_a_pause_and_no_end(queue):
    queue.push(FIRST, pcm(FRAME))
    queue.take(FRAME)
    assert [queue.take(FRAME) for _ in range(3)] == [None] * 3
    assert not queue.has_speech
    queue.push(FIRST, pcm(FRAME, 481))
    assert queue.take(FRAME) == pcm(FRAME, 481)
    assert queue.take_events() == [Started(response_id="r1")]


def test_a_part_of_a_frame_waits_for_its_rest_but_not_for_long(queue):
    queue.push(FIRST, pcm(FRAME + 100))
    assert queue.take(FRAME) == pcm(FRAME)
    assert queue.take(FRAME) is None
    queue.push(FIRST, pcm(400, FRAME + 101))
    assert queue.take(FRAME) == pcm(FRAME, FRAME + 1)
    assert queue.take(FRAME) is None
    assert queue.take(FRAME) == pcm(20, 2 * FRAME + 1) + bytes(2 * (FRAME - 20))
    assert queue.sent_ms(FIRST) == (2 * FRAME + 20) * 1000 // RATE


def test_parts_of_a_response_follow_without_a_gap(queue):
    queue.push(FIRST, pcm(700))
    queue.push(SECOND_PART, pcm(260, 701))
    queue.finish("r1")
    assert b"".join(take_all(queue)) == pcm(960)
    assert (queue.sent_ms(FIRST), queue.sent_ms(SECOND_PART)) == (700 * 1000 // RATE, 260 * 1000 // RATE)
    assert queue.take_events() == [Started(response_id="r1"), Drained(response_id="r1")]


def test_a_frame_never_mixes_two_responses(queue):
    queue.push(FIRST, pcm(100))
    queue.push(OTHER, pcm(100))
    queue.finish("r1")
    queue.finish("r2")
    assert take_all(queue) == [pcm(100) + bytes(760)] * 2
    assert queue.take_events() == [
        Started(response_id="r1"),
        Drained(response_id="r1"),
        Started(response_id="r2"),
        Drained(response_id="r2"),
    ]


def test_a_response_that_was_never_finished_ends_where_the_next_one_begins(queue):
    queue.push(FIRST, pcm(FRAME))
    queue.take(FRAME)
    queue.push(OTHER, pcm(FRAME))
    queue.take(FRAME)
    assert queue.take_events() == [
        Started(response_id="r1"),
        Drained(response_id="r1"),
        Started(response_id="r2"),
    ]


def test_a_part_that_comes_after_the_finish_of_another_goes_on_with_the_response(queue):
    queue.push(FIRST, pcm(FRAME))
    queue.finish("r1")
    queue.push(SECOND_PART, pcm(FRAME))
    take_all(queue)
    assert queue.take_events() == [Started(response_id="r1")]
    queue.finish("r1")
    assert queue.take_events() == [Drained(response_id="r1")]


def test_responses_without_audio_are_not_heard_of(queue):
    queue.finish("r9")
    queue.push(FIRST, b"")
    queue.finish("r1")
    assert queue.take(FRAME) is None
    assert queue.take_events() == []


def test_flush_is_at_once_and_tells_how_far_it_had_come(queue):
    queue.push(FIRST, pcm(RATE))
    queue.push(OTHER, pcm(RATE))
    queue.finish("r1")
    for _ in range(7):
        queue.take(FRAME)
    queue.take_events()
    assert queue.flush() == Heard(speech=FIRST, sent_ms=140, received_ms=1000)
    assert queue.take(FRAME) is None
    assert not queue.has_speech
    assert queue.playing is None
    assert queue.waiting_seconds == 0
    queue.finish("r1")
    queue.finish("r2")
    assert queue.take_events() == []
    assert queue.flush() is None
    assert (queue.sent_ms(FIRST), queue.received_ms(OTHER), queue.sent_ms(OTHER)) == (140, 1000, 0)


def test_flush_before_the_first_frame_names_what_would_have_come(queue):
    queue.push(FIRST, pcm(RATE))
    assert queue.flush() == Heard(speech=FIRST, sent_ms=0, received_ms=1000)


def test_flush_in_a_pause_names_what_had_been_said(queue):
    queue.push(FIRST, pcm(FRAME))
    queue.take(FRAME)
    queue.take(FRAME)
    assert queue.flush() == Heard(speech=FIRST, sent_ms=20, received_ms=20)


def test_after_a_flush_a_new_response_is_said(queue):
    queue.push(FIRST, pcm(FRAME + 10))
    queue.take(FRAME)
    queue.take(FRAME)  # the part of a frame waits
    queue.flush()
    queue.push(OTHER, pcm(FRAME))
    queue.finish("r2")
    assert queue.take(FRAME) == pcm(FRAME)
    assert queue.take_events()[1:] == [Started(response_id="r2"), Drained(response_id="r2")]


def test_half_samples_are_put_together(queue):
    whole = pcm(FRAME)
    for at in range(0, len(whole), 7):
        queue.push(FIRST, whole[at : at + 7])
    assert queue.received_ms(FIRST) == 20
    assert queue.take(FRAME) == whole


@pytest.mark.parametrize("taken", [0, 1])
def test_half_a_sample_is_flushed_too(queue, taken):
    queue.push(FIRST, pcm(FRAME) + b"\x99")
    for _ in range(taken):
        queue.take(FRAME)
    queue.flush()
    queue.push(FIRST, pcm(FRAME))
    assert queue.take(FRAME) == pcm(FRAME)


def test_what_does_not_fit_is_refused_and_the_rest_of_the_speech_with_it():
    queue = SpeechQueue(rate=RATE, max_seconds=1)
    assert queue.push(FIRST, pcm(20000))
    assert not queue.push(FIRST, pcm(4001))
    assert queue.drops == {DropReason.QUEUE_FULL: 1}
    assert not queue.push(FIRST, pcm(1))
    assert queue.drops == {DropReason.QUEUE_FULL: 1, DropReason.SPEECH_CUT: 1}
    assert queue.push(OTHER, pcm(4000))
    assert queue.received_ms(FIRST) == 20000 * 1000 // RATE
    queue.finish("r1")
    queue.finish("r2")
    take_all(queue)
    assert queue.push(Speech("r3", "i3"), pcm(RATE))


def test_speeches_are_bounded_by_number(queue):
    for number in range(MAX_QUEUED):
        assert queue.push(Speech("r", str(number)), pcm(1))
    assert not queue.push(Speech("r", "one more"), pcm(1))
    assert queue.push(Speech("r", "0"), pcm(1))
    assert queue.drops == {DropReason.QUEUE_FULL: 1}


def test_speeches_are_forgotten_the_oldest_first_but_never_the_one_being_said(queue):
    queue.push(FIRST, pcm(FRAME))
    queue.take(FRAME)
    for number in range(3 * MAX_KNOWN):
        queue.push(Speech("r1", str(number)), b"")
    assert len(queue._known) == MAX_KNOWN
    assert queue.sent_ms(FIRST) == 20
    assert queue.flush() == Heard(speech=FIRST, sent_ms=20, received_ms=20)


def test_small_pieces_cost_no_more_memory_than_what_is_in_them(queue):
    for _ in range(50000):
        queue.push(FIRST, b"\1\0")
    (track,) = queue._queued
    assert len(track.waiting._chunks) <= 2


def test_a_minute_in_one_second_costs_no_more_per_frame_than_a_second(queue):
    def seconds_per_frame(pieces):
        queue = SpeechQueue(rate=RATE)
        for _ in range(pieces):
            queue.push(FIRST, bytes(RATE * 2))
        started = time.perf_counter()
        for _ in range(50):
            queue.take(FRAME)
        return time.perf_counter() - started

    # The whole in one piece as well: taking from it must not move the rest.
    assert min(seconds_per_frame(600) for _ in range(3)) < 20 * min(seconds_per_frame(1) for _ in range(3))
    queue.push(FIRST, bytes(RATE * 2 * 600))
    started = time.perf_counter()
    for _ in range(1000):
        queue.take(FRAME)
    assert time.perf_counter() - started < 0.5  # moving 29 MB a thousand times takes several seconds


@given(
    pieces=st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=3000)), max_size=20),
    samples=st.sampled_from([160, 480, 960]),
)
def test_all_that_is_pushed_comes_out_in_order_and_is_counted(pieces, samples):
    queue = SpeechQueue(rate=RATE)
    said = {}
    for part, piece in pieces:
        speech = Speech("r", "i", part)
        assert queue.push(speech, piece)
        said[speech] = said.get(speech, b"") + piece
    queue.finish("r")
    heard = b"".join(take_all(queue, samples))
    # Parts are said in the order in which each had its first whole sample.
    total = 0
    for speech, audio in said.items():
        count = len(audio) // 2
        assert queue.received_ms(speech) == queue.sent_ms(speech) == int(Fraction(count * 1000, RATE))
        assert audio[: 2 * count] in heard
        total += count
    assert len(heard) == -(-total // samples) * samples * 2


class QueueMachine(RuleBasedStateMachine):
    """Any order of calls keeps the events in pairs and the count in samples."""

    def __init__(self):
        super().__init__()
        self.queue = SpeechQueue(rate=RATE, max_seconds=0.5)
        self.open = None
        self.finished = set()
        self.pushed = {}

    @rule(response=st.integers(1, 3), part=st.integers(0, 1), samples=st.integers(0, 2000))
    def push(self, response, part, samples):
        speech = Speech(str(response), "i", part)
        if self.queue.push(speech, pcm(samples)):
            self.pushed[speech] = self.pushed.get(speech, 0) + samples
            if samples:
                self.finished.discard(speech.response_id)

    @rule(response=st.integers(1, 3))
    def finish(self, response):
        self.finished.add(str(response))
        self.queue.finish(str(response))

    @rule()
    def take(self):
        frame = self.queue.take(FRAME)
        assert frame is None or len(frame) == 2 * FRAME

    @rule()
    def flush(self):
        playing = self.queue.playing
        heard = self.queue.flush()
        self.open = None
        self.finished.clear()
        self.queue.take_events()
        assert playing is None or (heard is not None and heard.speech == playing)
        assert heard is None or heard.sent_ms <= heard.received_ms

    @precondition(lambda self: self.queue.has_speech)
    @rule()
    def two_takes_are_enough_for_a_frame(self):
        assert self.queue.take(FRAME) or self.queue.take(FRAME)

    @invariant()
    def events_are_in_pairs(self):
        for event in self.queue.take_events():
            if isinstance(event, Started):
                assert self.open is None
                self.open = event.response_id
            else:
                assert event.response_id == self.open
                self.open = None
        playing = self.queue.playing
        assert (playing.response_id if playing else None) == self.open
        # A finished response is open only while there is more of it to say.
        if self.open in self.finished:
            assert self.queue._is_queued(self.open)

    @invariant()
    def samples_are_counted(self):
        waiting = 0
        for speech, samples in self.pushed.items():
            track = self.queue._known[speech]
            assert track.received == samples
            assert track.sent <= samples
            waiting += track.waiting.size // 2
        assert self.queue.waiting_seconds == waiting / RATE
        assert waiting <= 0.5 * RATE


TestQueueMachine = QueueMachine.TestCase
