"""Of the two ends of a lossy hop, the one is rated that all its hops show; and one lost PING is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.health import WELL
from geo.hops import Hop, HopRatings, Typical, typical_of


def hop(relay: str, transceiver: str, loss: float = 0.0, round_trip: float | None = 0.5, **fields: object) -> Hop:
    values = {"is_near": True, "pings": 60, "lost": round(60 * loss), **fields}
    return Hop(relay=relay, transceiver=transceiver, round_trip=round_trip, **values)  # type: ignore[arg-type]


def grid(relays: str, transceivers: str, **ill: float) -> list[Hop]:
    """All hops between some relays and some transceivers; those with an ill end lose what it loses."""
    return [hop(one, other, max(ill.get(one, 0), ill.get(other, 0))) for one in relays for other in transceivers]


def followed(hops: list[Hop], seconds: int = 600) -> HopRatings:
    ratings = HopRatings()
    for second in range(seconds):
        ratings.follow(hops, second)
    return ratings


@pytest.mark.parametrize(("relays", "transceivers"), [("rs", "ab"), ("rst", "abc"), ("rstu", "ab")])
@pytest.mark.parametrize("ill", ["r", "a"])
def test_who_is_ill_is_found_and_nobody_else(relays: str, transceivers: str, ill: str) -> None:
    ratings = followed(grid(relays, transceivers, **{ill: 0.1}))
    losses = {name: ratings.relay(name).loss for name in relays} | {
        name: ratings.transceiver(name).loss for name in transceivers
    }
    assert losses.pop(ill) > 0.08
    assert set(losses.values()) == {0}


def test_where_there_is_one_of_each_both_are_as_bad_as_their_way() -> None:
    ratings = followed([hop("r", "a", 0.1, 60.0)])
    assert ratings.relay("r").loss == ratings.transceiver("a").loss > 0.08
    assert ratings.transceiver("a").why == "9.2% of relays' PINGs to it are lost, answers from it to relays take 40 ms"
    assert ratings.relay("r").why == "9.2% of PINGs from its relay are lost, answers to its relay take 40 ms"


def test_one_who_answers_late_is_found() -> None:
    ratings = followed([hop(relay, name, 0, 60.0 if name == "a" else 1.0) for relay in "rs" for name in "abc"])
    assert ratings.transceiver("a").delay > 30
    assert ratings.transceiver("b") == ratings.relay("r") == WELL


def test_hops_of_the_region_go_before_those_from_elsewhere() -> None:
    far = [hop(relay, "a", 0.5, 200.0, is_near=False) for relay in "stuv"]
    assert typical_of([hop("r", "a"), *far])[1]["a"] == Typical(0, 0.5)
    assert typical_of(far)[1]["a"] == Typical(0.5, 0), "of their delay distance may be the reason"


@pytest.mark.parametrize("lost", [1, 2])
def test_a_ping_or_two_that_are_lost_by_chance_change_nothing(lost: int) -> None:
    ratings = HopRatings()
    for second in range(300):
        within = lost if 100 <= second < 160 else 0
        ratings.follow([hop("r", "a", lost=within)], second)
        assert ratings.transceiver("a") == ratings.relay("r") == WELL


def test_too_few_pings_tell_nothing() -> None:
    assert followed([hop("r", "a", lost=29, pings=29)]).transceiver("a") == WELL


def test_who_is_gone_is_forgotten_and_his_place_is_taken_by_somebody_new() -> None:
    ratings = followed([hop("r", "a", 0.1)])
    ratings.follow([hop("r", "b")], 600)
    assert ratings.transceiver("a") == WELL
    assert set(ratings._transceivers) == {"b"}


@given(st.lists(st.builds(hop, st.sampled_from("rst"), st.sampled_from("abc"), st.floats(0, 1),
                          st.none() | st.floats(0, 1000), is_near=st.booleans())))  # fmt: skip
def test_nobody_is_worse_than_the_worst_of_his_hops(hops: list[Hop]) -> None:
    relays, transceivers = typical_of(hops)
    for each in hops:
        for name, found in ((each.relay, relays), (each.transceiver, transceivers)):
            own = [other for other in hops if name in (other.relay, other.transceiver)]
            assert found[name].loss <= max(other.lost / other.pings for other in own)
            assert found[name].delay <= max(other.round_trip or 0.0 for other in own)
