"""Each term of the score is needed: leaving it out sends a caller to the wrong place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.health import Health
from geo.regions import Place
from geo.round_trips import Measured, RoundTrip, predicted_round_trip, round_trip_between, round_trip_of
from geo.scoring import MOST_FOR_HEALTH, Score, Weights, effective_load, score

BERLIN = Place(latitude=52.52, longitude=13.405, why="header CF-IPLatitude")
FRANKFURT = Place(latitude=50.11, longitude=8.68)
DUBLIN = Place(latitude=53.35, longitude=-6.26)
VIRGINIA = Place(latitude=39.04, longitude=-77.49)
PRAGUE = Place(latitude=50.08, longitude=14.44)


def way(caller: Place | None, candidate: Place | None, measured: Measured | None = None) -> RoundTrip:
    return round_trip_of(caller, candidate, measured)


def scored(caller: Place | None, candidate: Place | None, load: float = 0.0, weights: Weights | None = None) -> Score:
    return score(way(caller, candidate), load=load, weights=weights or Weights())


def test_the_near_one_wins() -> None:
    assert scored(BERLIN, FRANKFURT).total < scored(BERLIN, VIRGINIA).total
    without = Weights(round_trip=0)
    assert scored(BERLIN, FRANKFURT, weights=without).total == 0, "without the term they are equal"


def test_a_full_one_loses_to_an_emptier_one_a_little_further_away() -> None:
    assert scored(BERLIN, FRANKFURT, load=0.9).total > scored(BERLIN, DUBLIN, load=0.2).total
    without = Weights(load=0)
    assert scored(BERLIN, FRANKFURT, 0.9, without).total < scored(BERLIN, DUBLIN, 0.2, without).total


def test_load_alone_does_not_send_a_caller_over_the_ocean() -> None:
    assert scored(BERLIN, FRANKFURT, load=0.8).total < scored(BERLIN, VIRGINIA, load=0.1).total


def test_one_that_loses_packets_loses_to_one_a_little_further_away() -> None:
    lossy, near = Health(loss=0.05, why="it loses 5 %"), way(BERLIN, FRANKFURT)
    assert score(near, health=lossy).total > scored(BERLIN, DUBLIN).total
    assert score(near, health=lossy, weights=Weights(loss=0)).total < scored(BERLIN, DUBLIN).total
    assert score(near, health=Health(loss=0.03)).total < scored(BERLIN, VIRGINIA).total, "the ocean is worse"


def test_one_that_answers_late_loses_to_one_beside_it() -> None:
    late, near = Health(delay=40, why="it answers late"), way(BERLIN, FRANKFURT)
    assert score(near, health=late, load=0.1).total > score(near, load=0.5).total
    assert score(near, health=late, load=0.1, weights=Weights(delay=0)).total < score(near, load=0.5).total
    assert score(near, health=late).total < scored(BERLIN, VIRGINIA).total


def test_nothing_that_is_measured_outweighs_a_region_twice_around_the_earth() -> None:
    near, far = way(BERLIN, FRANKFURT), way(BERLIN, Place(latitude=-33.87, longitude=151.21))
    assert score(near, health=Health(loss=1, delay=1e6)).total < score(far).total
    assert score(near, health=Health(loss=1, delay=1e6)).health == MOST_FOR_HEALTH


def test_half_a_load_keeps_callers_that_are_near() -> None:
    assert scored(BERLIN, FRANKFURT, load=0.65).total < scored(BERLIN, DUBLIN).total


def test_a_full_region_spills_over_the_ocean_before_it_refuses() -> None:
    assert scored(BERLIN, FRANKFURT, load=0.95).total > scored(BERLIN, VIRGINIA, load=0.1).total


def test_a_region_that_is_hardly_better_does_not_take_callers_from_where_they_are_served() -> None:
    # As far as the two differ, the next measurement says the opposite.
    now = way(BERLIN, PRAGUE, Measured(milliseconds=19, confidence=1))
    then = way(BERLIN, PRAGUE, Measured(milliseconds=15, confidence=1))
    frankfurt = scored(BERLIN, FRANKFURT).total
    assert score(now).total > frankfurt > score(then).total, "without the term each call goes elsewhere"
    assert score(now, is_change=True).total > frankfurt
    assert score(then, is_change=True).total > frankfurt
    assert score(way(BERLIN, PRAGUE, Measured(milliseconds=8, confidence=1)), is_change=True).total < frankfurt


def test_a_callers_way_goes_on_to_the_transceiver() -> None:
    # Where nobody knows the caller, the relay beside the transceiver is best; without the term it is the first one.
    beside = score(way(None, FRANKFURT), onward=round_trip_between(FRANKFURT, FRANKFURT))
    abroad = score(way(None, VIRGINIA), onward=round_trip_between(VIRGINIA, FRANKFURT))
    assert beside.total < abroad.total
    assert score(way(None, VIRGINIA), weights=Weights(onward=0)).total == score(way(None, FRANKFURT)).total
    assert round_trip_between(None, FRANKFURT) == 0


def test_a_second_address_is_on_another_machine_if_that_is_hardly_further() -> None:
    assert score(way(BERLIN, FRANKFURT), shares_machine=True).total > scored(BERLIN, DUBLIN).total
    assert score(way(BERLIN, FRANKFURT), shares_machine=True).total < scored(BERLIN, VIRGINIA).total
    without = Weights(shared_machine=0)
    assert score(way(BERLIN, FRANKFURT), shares_machine=True, weights=without).total < scored(BERLIN, DUBLIN).total


def test_no_location_lies_between_near_and_far() -> None:
    assert scored(BERLIN, FRANKFURT).total < scored(BERLIN, None).total < scored(BERLIN, VIRGINIA).total


def test_an_unknown_caller_makes_distance_play_no_part() -> None:
    assert scored(None, FRANKFURT).total == scored(None, VIRGINIA).total == scored(None, None).total


def test_prediction_resembles_known_round_trips() -> None:
    assert predicted_round_trip(420) == pytest.approx(17, abs=5)  # Berlin to Frankfurt
    assert predicted_round_trip(6700) == pytest.approx(100, abs=30)  # Berlin to Virginia


def test_measurements_correct_the_prediction_as_far_as_they_are_believed() -> None:
    predicted = way(BERLIN, FRANKFURT).milliseconds
    assert way(BERLIN, FRANKFURT, Measured(milliseconds=200, confidence=1)).milliseconds == 200
    half = way(BERLIN, FRANKFURT, Measured(milliseconds=200, confidence=0.5)).milliseconds
    assert half == pytest.approx((200 + predicted) / 2)
    assert way(None, FRANKFURT, Measured(milliseconds=20, confidence=1)).milliseconds == 20
    assert way(None, FRANKFURT, Measured(milliseconds=20, confidence=0.5)).milliseconds == 60, "half of it unknown"


def test_one_that_came_back_gets_its_share_little_by_little() -> None:
    assert effective_load(0.05, None) == 0.05
    assert effective_load(0.05, 0) == pytest.approx(0.5)
    assert effective_load(0.05, 30) == pytest.approx(0.05 / 0.55)
    assert effective_load(0.05, 60) == 0.05
    near, far = way(BERLIN, FRANKFURT), scored(BERLIN, DUBLIN, load=0.5)
    assert score(near, load=0.08, up_seconds=1).total > far.total, "without the ramp everybody would come at once"
    assert score(near, load=0.08).total < far.total


def test_a_score_explains_itself() -> None:
    assert scored(BERLIN, FRANKFURT, load=0.25).why == (
        "424 km from the caller (header CF-IPLatitude), about 17 ms, 25% full"
    )
    given = score(
        way(BERLIN, FRANKFURT, Measured(milliseconds=40, confidence=0.75, calls=3)),
        health=Health(loss=0.02, delay=3, why="callers of 9 networks lose 2.0% in the region"),
        load=0.1,
        up_seconds=6,
        onward=12,
        is_change=True,
        shares_machine=True,
    )
    assert given.why == (
        "424 km from the caller (header CF-IPLatitude), about 17 ms, measured 40 ms 3 times, taken as 34 ms, "
        "callers of 9 networks lose 2.0% in the region (+43 ms), "
        "10% full (+2 ms), back for 6 s and not yet given its whole share, away from the transceiver (+12 ms), "
        "another region served the caller's network lately (+5 ms), "
        "on the machine of another address in the answer (+30 ms)"
    )
    assert given.total == pytest.approx(sum(given.terms.values()))


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.none() | st.floats(0, 100))
def test_more_load_never_scores_better(one: float, other: float, up_seconds: float | None) -> None:
    low, high = sorted((one, other))
    ours = way(BERLIN, DUBLIN)
    assert score(ours, load=low, up_seconds=up_seconds).total <= score(ours, load=high, up_seconds=up_seconds).total


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
    st.floats(0, 1),
    st.none() | st.floats(0, 100),
)
def test_worse_health_never_scores_better(
    loss: float, more_loss: float, delay: float, more_delay: float, load: float, up_seconds: float | None
) -> None:
    ours = way(BERLIN, DUBLIN)
    well = score(ours, load=load, up_seconds=up_seconds)
    ill = score(ours, health=Health(loss=loss, delay=delay), load=load, up_seconds=up_seconds)
    worse = Health(loss=loss + more_loss, delay=delay + more_delay)
    assert well.total <= ill.total <= score(ours, health=worse, load=load, up_seconds=up_seconds).total
    assert ill.total <= well.total + MOST_FOR_HEALTH
