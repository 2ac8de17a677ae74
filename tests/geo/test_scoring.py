"""Each term of the score is needed: leaving it out sends a caller to the wrong place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.regions import Place
from geo.scoring import Weights, predicted_round_trip, score

BERLIN = Place(latitude=52.52, longitude=13.405, why="header CF-IPLatitude")
FRANKFURT = Place(latitude=50.11, longitude=8.68)
DUBLIN = Place(latitude=53.35, longitude=-6.26)
VIRGINIA = Place(latitude=39.04, longitude=-77.49)


def test_the_near_one_wins() -> None:
    assert score(BERLIN, FRANKFURT).total < score(BERLIN, VIRGINIA).total
    assert score(BERLIN, FRANKFURT, weights=Weights(round_trip=0)).total == 0, "without the term they are equal"


def test_a_full_one_loses_to_an_emptier_one_a_little_further_away() -> None:
    assert score(BERLIN, FRANKFURT, load=0.9).total > score(BERLIN, DUBLIN, load=0.2).total
    without = Weights(load=0)
    assert score(BERLIN, FRANKFURT, 0.9, without).total < score(BERLIN, DUBLIN, 0.2, without).total


def test_load_alone_does_not_send_a_caller_over_the_ocean() -> None:
    assert score(BERLIN, FRANKFURT, load=0.5).total < score(BERLIN, VIRGINIA, load=0.1).total


def test_no_location_lies_between_near_and_far() -> None:
    assert score(BERLIN, FRANKFURT).total < score(BERLIN, None).total < score(BERLIN, VIRGINIA).total


def test_an_unknown_caller_makes_distance_play_no_part() -> None:
    assert score(None, FRANKFURT).total == score(None, VIRGINIA).total == score(None, None).total


def test_prediction_resembles_known_round_trips() -> None:
    assert predicted_round_trip(420) == pytest.approx(17, abs=5)  # Berlin to Frankfurt
    assert predicted_round_trip(6700) == pytest.approx(100, abs=30)  # Berlin to Virginia


def test_a_score_explains_itself() -> None:
    assert score(BERLIN, FRANKFURT, load=0.25).why == (
        "424 km from the caller (header CF-IPLatitude), about 17 ms, 25% full"
    )


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_more_load_never_scores_better(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert score(BERLIN, DUBLIN, low).total <= score(BERLIN, DUBLIN, high).total
