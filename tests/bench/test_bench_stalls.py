"""What the client itself stood still in is no silence of the edge's."""

import pytest

from tests.e2e.stalls import OwnClock, silences

FRAME = 0.02


def every_frame(begin: float, end: float) -> list[float]:
    return [begin + FRAME * number for number in range(round((end - begin) / FRAME) + 1)]


def test_a_silence_of_the_edge_counts_as_long_as_it_was() -> None:
    arrivals = [*every_frame(10.0, 11.0), *every_frame(11.4, 12.0)]
    longest = max(silences(arrivals, every_frame(9.9, 12.1)), key=lambda each: each.seconds)
    assert longest == (pytest.approx(11.0), pytest.approx(11.4), pytest.approx(0.4))


def test_what_the_client_stood_still_in_does_not_count() -> None:
    """It stood still for 0.8 s of the 1.2, and was on time before and behind; a tenth is its due."""
    arrivals = [*every_frame(10.0, 11.0), *every_frame(12.2, 12.5)]
    departures = [*every_frame(9.9, 11.2), *every_frame(12.0, 12.5)]
    longest = max(silences(arrivals, departures), key=lambda each: each.seconds)
    assert longest.seconds == pytest.approx(1.2 - (0.8 - 0.1))


def test_a_client_that_stands_still_when_something_comes_has_stood_still_so_far() -> None:
    clock = OwnClock(1.0)
    assert clock.read(1.05) == 1.05
    assert clock.read(2.0) == pytest.approx(2.0 - 0.9)
    clock.sent(2.5)
    assert (clock.last, clock.behind) == (2.5, pytest.approx(1.4))
    assert clock.read(2.55) == pytest.approx(2.55 - 1.4)


def test_nobody_heard_anything() -> None:
    assert silences([], every_frame(0, 1)) == []
