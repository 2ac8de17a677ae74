"""Arrivals told truthfully, once, in bounded memory, through a network that loses, repeats and reorders."""

import random

import pytest

from srtp.feedback import HISTORY_SECONDS, MAX_ARRIVALS, MAX_REORDERING, MAX_SPAN, ArrivalRecorder
from srtp.rtcp.compound import parse_compound, serialize_compound
from srtp.rtcp.transport_feedback import TransportFeedback


def recorder() -> ArrivalRecorder:
    return ArrivalRecorder(sender_ssrc=1, media_ssrc=2)


def arrive(recorder: ArrivalRecorder, number: int, now: float) -> None:
    recorder.arrived([(number, now)])


def told(recorder: ArrivalRecorder, now: float) -> list[tuple[int, float | None]]:
    """All that there is to tell, through the codec."""
    arrivals: list[tuple[int, float | None]] = []
    while (feedback := recorder.feedback(now)) is not None:
        (parsed,) = parse_compound(serialize_compound([feedback]))
        assert isinstance(parsed, TransportFeedback)
        assert parsed == feedback
        assert len(serialize_compound([feedback])) <= 1200
        arrivals += parsed.arrivals()
    return arrivals


def test_nothing_arrived() -> None:
    assert recorder().feedback(1.0) is None


def test_in_order() -> None:
    arrivals = recorder()
    for number in range(5):
        arrive(arrivals, number, 64.0 + number * 0.02)
    feedback = arrivals.feedback(64.1)
    assert feedback == TransportFeedback(
        sender_ssrc=1,
        media_ssrc=2,
        base_sequence_number=0,
        reference_time=1000,
        feedback_packet_count=0,
        deltas=(0, 80, 80, 80, 80),
    )
    assert arrivals.feedback(64.1) is None
    arrive(arrivals, 6, 64.14)
    second = arrivals.feedback(64.2)
    assert second is not None
    # What was lost since the last feedback is told; the count tells the peer that it missed none.
    assert (second.base_sequence_number, second.feedback_packet_count) == (5, 1)
    assert second.deltas[0] is None
    assert len(second.deltas) == 2


def test_errors_do_not_add_up() -> None:
    arrivals = recorder()
    times = [100 + number * 0.0201 for number in range(300)]
    for number, at in enumerate(times):
        arrive(arrivals, number, at)
    for (_, at), expected in zip(told(arrivals, 107.0), times, strict=True):
        assert at == pytest.approx(expected, abs=0.00026)


def test_numbers_wrap() -> None:
    arrivals = recorder()
    for number in range(65_533, 65_540):
        arrive(arrivals, number & 0xFFFF, 10.0)
    assert [number for number, _ in told(arrivals, 10.1)] == [65_533, 65_534, 65_535, 0, 1, 2, 3]


def test_the_first_arrival_counts() -> None:
    arrivals = recorder()
    arrive(arrivals, 7, 10.0)
    arrive(arrivals, 7, 10.1)
    assert told(arrivals, 10.2) == [(7, pytest.approx(10.0))]
    # Neither does a repetition of what was told make another feedback.
    arrive(arrivals, 7, 10.3)
    assert arrivals.feedback(10.3) is None


def test_late_packets_are_told_with_their_neighbours() -> None:
    arrivals = recorder()
    for number in (10, 11, 13):
        arrive(arrivals, number, 10.0)
    assert [at for _, at in told(arrivals, 10.1)] == [10.0, 10.0, None, 10.0]
    arrive(arrivals, 12, 10.2)
    arrive(arrivals, 14, 10.2)
    assert told(arrivals, 10.2) == [(12, pytest.approx(10.2)), (13, pytest.approx(10.0)), (14, pytest.approx(10.2))]


def test_a_packet_from_before_the_first() -> None:
    arrivals = recorder()
    arrive(arrivals, 0, 10.0)
    arrive(arrivals, 65_535, 10.01)
    assert told(arrivals, 10.1) == [(65_535, pytest.approx(10.01)), (0, pytest.approx(10.0))]


def test_packets_that_are_too_late_are_not_told() -> None:
    arrivals = recorder()
    arrive(arrivals, 200, 10.0)
    assert told(arrivals, 10.1) == [(200, pytest.approx(10.0))]
    arrive(arrivals, 201 - MAX_REORDERING - 1, 10.1)
    assert arrivals.feedback(10.2) is None
    arrive(arrivals, 201 - MAX_REORDERING, 10.1)
    assert told(arrivals, 10.2)[0] == (201 - MAX_REORDERING, pytest.approx(10.1))


def test_a_pause_starts_another_feedback() -> None:
    arrivals = recorder()
    arrive(arrivals, 1, 10.0)
    arrive(arrivals, 2, 30.0)
    first, second = arrivals.feedback(30.0), arrivals.feedback(30.0)
    assert first is not None
    assert second is not None
    assert (first.base_sequence_number, second.base_sequence_number) == (1, 2)
    assert second.reference_time == 30_000 // 64
    assert arrivals.feedback(30.0) is None


def test_long_stretches_take_several() -> None:
    arrivals = recorder()
    for number in range(1000):
        arrive(arrivals, number, 10.0 + number / 1000)
    lengths = []
    while (feedback := arrivals.feedback(11.0)) is not None:
        lengths.append(len(feedback.deltas))
        assert feedback.base_sequence_number == sum(lengths[:-1])
    assert lengths == [MAX_SPAN, MAX_SPAN, 1000 - 2 * MAX_SPAN]


def test_a_gap_that_fits_is_loss_and_one_that_does_not_is_skipped() -> None:
    arrivals = recorder()
    arrive(arrivals, 0, 10.0)
    assert told(arrivals, 10.0)
    arrive(arrivals, MAX_SPAN, 10.1)
    assert len(told(arrivals, 10.1)) == MAX_SPAN
    arrive(arrivals, MAX_SPAN + 1 + MAX_SPAN, 10.2)
    assert [number for number, _ in told(arrivals, 10.2)] == [2 * MAX_SPAN + 1]


def test_the_counter_and_the_reference_time_wrap() -> None:
    arrivals = recorder()
    day = 86_400.0
    references = set()
    for number in range(300):
        now = number * day / 10
        arrive(arrivals, number, now)
        feedback = arrivals.feedback(now)
        assert feedback is not None
        assert feedback.feedback_packet_count == number & 0xFF
        references.add(feedback.reference_time < 0)
        serialize_compound([feedback])
    assert references == {True, False}


def test_memory_is_bounded_though_nobody_asks() -> None:
    arrivals = recorder()
    for number in range(10 * MAX_ARRIVALS):
        arrive(arrivals, number & 0xFFFF, number * 0.02)
        assert len(arrivals._arrivals) <= MAX_ARRIVALS
    # It tells the newest.
    assert told(arrivals, 0.0)[-1][0] == 10 * MAX_ARRIVALS - 1


def test_what_was_told_is_forgotten() -> None:
    arrivals = recorder()
    for number in range(2000):
        now = 10 + number * 0.02
        arrive(arrivals, number, now)
        arrivals.feedback(now)
        assert len(arrivals._arrivals) + len(arrivals._former) <= 2 * HISTORY_SECONDS / 0.02 + 4


@pytest.mark.parametrize("seed", range(5))
def test_any_weather(seed: int) -> None:
    """Every packet that arrives at most slightly late is told at its time, every other as lost, and none twice."""
    rng = random.Random(seed)
    arrivals = recorder()
    schedule = []
    for number in range(65_000, 66_500):
        if rng.random() < 0.1 and number > 65_000:
            continue
        for _ in range(rng.choice([1, 1, 1, 2])):
            delay = 0 if number == 65_000 else rng.random() * 0.08
            schedule.append((number * 0.02 + delay, number))
    schedule.sort()
    first_arrival: dict[int, float] = {}
    seen: dict[int, float] = {}
    next_feedback = schedule[0][0] + 0.1
    for at, number in schedule:
        while at >= next_feedback:
            for found, when in told(arrivals, next_feedback):
                if when is not None:
                    assert seen.setdefault(found, when) == pytest.approx(when, abs=0.0006)
            next_feedback += 0.1
        arrive(arrivals, number & 0xFFFF, at)
        first_arrival.setdefault(number & 0xFFFF, at)
    seen.update((found, when) for found, when in told(arrivals, next_feedback) if when is not None)
    assert seen == {number: pytest.approx(at, abs=0.0006) for number, at in first_arrival.items()}
