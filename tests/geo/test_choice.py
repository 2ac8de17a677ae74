"""Choices are complete, ordered, bounded and explained."""

from hypothesis import given
from hypothesis import strategies as st

from geo.choice import TransceiverCandidate, choose_ingresses, choose_transceiver
from geo.regions import Ingress, Place, Region
from geo.scoring import score

EUROPE = Region(name="eu", place=Place(latitude=50.11, longitude=8.68))
AMERICA = Region(name="us", place=Place(latitude=39.04, longitude=-77.49))
NEW_YORK = Place(latitude=40.71, longitude=-74.0, why="headers X-Lat and X-Lon")

places = st.builds(Place, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))
regions = st.none() | st.builds(Region, name=st.sampled_from(["a", "b"]), place=st.none() | places)
ingress_lists = st.lists(
    st.builds(Ingress, id=st.integers(1, 9), host=st.just("192.0.2.1"), port=st.just(3478), region=regions), max_size=6
)
candidate_lists = st.lists(
    st.builds(TransceiverCandidate, name=st.just("t"), region=regions, load=st.floats(0, 1), is_ready=st.booleans()),
    max_size=6,
)


def ingress(number: int, region: Region | None = None) -> Ingress:
    return Ingress(id=number, host="192.0.2.1", port=3478, region=region)


def test_the_nearest_ingress_comes_first_with_its_reason() -> None:
    choice = choose_ingresses(NEW_YORK, [ingress(1, EUROPE), ingress(2, AMERICA), ingress(3)], 2)
    assert [item.id for item in choice.items] == [2, 3]
    assert choice.reasons == (
        "ingress 2 in us: 351 km from the caller (headers X-Lat and X-Lon), about 16 ms.",
        "ingress 3: its location is not configured, taken as 100 ms.",
        "ingress 1 in eu: 6202 km from the caller (headers X-Lat and X-Lon), about 109 ms. Left out, as 2 are enough.",
    )


def test_without_a_place_the_configured_order_stands() -> None:
    assert [item.id for item in choose_ingresses(None, [ingress(7, EUROPE), ingress(3, AMERICA)], 5).items] == [7, 3]


def test_a_transceiver_that_takes_no_calls_is_named_but_never_chosen() -> None:
    choice = choose_transceiver(
        None,
        [
            TransceiverCandidate(name="http://one", is_ready=False, reason="draining"),
            TransceiverCandidate(name="http://two", region=EUROPE, load=0.5),
            TransceiverCandidate(name="http://three", load=0.25),
        ],
    )
    assert [item.name for item in choice.items] == ["http://three", "http://two"]
    assert choice.reasons == (
        "http://three: nobody tells where the caller is, 25% full.",
        "http://two in eu: nobody tells where the caller is, 50% full.",
        "http://one: takes no calls, draining.",
    )


@given(st.none() | places, ingress_lists, st.integers(0, 8))
def test_ingresses_are_the_best_ones_in_order(place: Place | None, ingresses: list[Ingress], count: int) -> None:
    choice = choose_ingresses(place, ingresses, count)
    assert len(choice.items) == min(count, len(ingresses))
    assert len(choice.reasons) == len(ingresses)

    def total(item: Ingress) -> float:
        return score(place, item.region.place if item.region else None).total

    totals = [total(item) for item in choice.items]
    assert totals == sorted(totals)
    left_out = sorted(total(item) for item in ingresses)[len(totals) :]
    assert not totals or not left_out or totals[-1] <= left_out[0]


@given(st.none() | places, candidate_lists)
def test_every_ready_transceiver_is_offered_once(place: Place | None, candidates: list[TransceiverCandidate]) -> None:
    choice = choose_transceiver(place, candidates)
    assert sorted(map(id, choice.items)) == sorted(id(item) for item in candidates if item.is_ready)
    assert len(choice.reasons) == len(candidates)
