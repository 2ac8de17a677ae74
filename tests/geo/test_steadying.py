"""A steadied value follows what is measured, within its bounds, and not its noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.steadying import Steady

PLAY, HALF_LIFE = 0.01, 60.0
VALUES = st.none() | st.floats(0, 1)


@given(st.lists(st.tuples(VALUES, st.floats(0, 1000)), max_size=50))
def test_it_is_never_beyond_what_was_measured(steps: list[tuple[float | None, float]]) -> None:
    steady, now, most = Steady(PLAY, HALF_LIFE), 0.0, 0.0
    for measured, elapsed in steps:
        now += elapsed
        most = max(most, measured or 0.0)
        assert 0 <= steady.follow(measured, now) <= most
        assert abs(steady.value - steady._average) <= PLAY


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 100)), max_size=50))
def test_what_is_always_worse_is_smoothed_to_what_is_worse(steps: list[tuple[float, float, float]]) -> None:
    better, worse, now = Steady(PLAY, HALF_LIFE), Steady(PLAY, HALF_LIFE), 0.0
    for measured, more, elapsed in steps:
        now += elapsed
        better.follow(measured, now)
        worse.follow(measured + more, now)
        assert worse._average >= better._average - 1e-9
        assert worse.value >= better.value - 2 * PLAY


@pytest.mark.parametrize("measured", [0.011, 0.05, 0.3])
def test_it_gets_there_and_back(measured: float) -> None:
    steady = Steady(PLAY, HALF_LIFE)
    for second in range(1800):
        steady.follow(measured, second)
    assert measured - PLAY <= steady.value <= measured
    for second in range(1800, 5400):
        steady.follow(0.0, second)
    assert steady.value == 0


def test_a_value_that_swings_within_the_play_stands_still() -> None:
    steady = Steady(PLAY, HALF_LIFE)
    seen = [steady.follow(0.03 if second // 60 % 2 else 0.02, second) for second in range(3600)]
    assert len(set(seen[900:])) == 1


def test_the_moment_before_and_the_moment_after_do_not_change_calls() -> None:
    steady = Steady(PLAY, HALF_LIFE)
    for second in range(10):
        steady.follow(0.05, second)
    assert steady.value == 0, "ten seconds are an accident"
