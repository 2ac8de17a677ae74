"""Choices are complete, ordered, bounded and explained."""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from geo.choice import NOWHERE, Choice, TransceiverCandidate, Viewpoint, choose_ingresses, choose_transceiver
from geo.health import WELL, Health
from geo.regions import Ingress, Place, Region
from geo.residency import NO_RESIDENCY, Residency
from geo.round_trips import Measured
from geo.scoring import MOST_FOR_HEALTH

EUROPE = Region(name="eu", place=Place(latitude=50.11, longitude=8.68))
AMERICA = Region(name="us", place=Place(latitude=39.04, longitude=-77.49))
NEW_YORK = Place(latitude=40.71, longitude=-74.0, why="headers X-Lat and X-Lon")
FROM_NEW_YORK = Viewpoint(place=NEW_YORK)
ONLY_EUROPE = Residency(regions=frozenset({"eu"}), why="callers from US only in eu")


def ingress(number: int, region: Region | None = None, **fields: object) -> Ingress:
    return Ingress(**{"id": number, "host": f"192.0.2.{number}", "port": 3478, "region": region, **fields})  # type: ignore[arg-type]


def ids(choice: Choice[Ingress]) -> list[int]:
    return [item.id for item in choice.items]


def names(choice: Choice[TransceiverCandidate]) -> list[str]:
    return [item.name for item in choice.items]


def test_the_nearest_ingress_comes_first_with_its_reason() -> None:
    choice = choose_ingresses(FROM_NEW_YORK, [ingress(1, EUROPE), ingress(2, AMERICA), ingress(3)], 2)
    assert ids(choice) == [2, 3]
    assert choice.reasons == (
        "ingress 2 in us: 351 km from the caller (headers X-Lat and X-Lon), about 16 ms.",
        "ingress 3: its location is not configured, taken as 100 ms.",
        "ingress 1 in eu: 6202 km from the caller (headers X-Lat and X-Lon), about 109 ms. Left out, as 2 are enough.",
    )


def test_without_a_place_the_configured_order_stands() -> None:
    assert ids(choose_ingresses(NOWHERE, [ingress(7, EUROPE), ingress(3, AMERICA)], 5)) == [7, 3]


def test_without_a_place_the_ingress_beside_the_transceiver_is_first() -> None:
    choice = choose_ingresses(NOWHERE, [ingress(7, EUROPE), ingress(3, AMERICA)], 5, onward_to=AMERICA)
    assert ids(choice) == [3, 7]
    assert "away from the transceiver (+105 ms)" in choice.reasons[1]


def test_two_ingresses_are_of_two_relays_however_far_the_second() -> None:
    same = [ingress(1, AMERICA, relay="a"), ingress(2, AMERICA, relay="a"), ingress(3, EUROPE, relay="b")]
    choice = choose_ingresses(FROM_NEW_YORK, same, 2)
    assert ids(choice) == [1, 3]
    assert choice.reasons[2].endswith("Nearer than ingress 3 in eu, but of a relay that is in the answer already.")
    only = choose_ingresses(FROM_NEW_YORK, same[:2], 2)
    assert ids(only) == [1, 2], "one relay twice is better than once"
    assert "for want of another" in only.reasons[1]


def test_two_ingresses_are_on_two_machines_if_that_is_not_much_further() -> None:
    boston = Region(name="boston", place=Place(latitude=42.36, longitude=-71.06))
    near = [ingress(1, AMERICA, machine="m"), ingress(2, AMERICA, machine="m"), ingress(3, boston)]
    assert ids(choose_ingresses(Viewpoint(place=AMERICA.place), near, 2)) == [1, 3]
    far = [*near[:2], ingress(3, EUROPE)]
    assert ids(choose_ingresses(FROM_NEW_YORK, far, 2)) == [1, 2]


def test_a_relay_that_seems_gone_is_the_last_resort() -> None:
    gone = ingress(1, AMERICA, is_healthy=False, reason="no heartbeat for 5 s")
    choice = choose_ingresses(FROM_NEW_YORK, [gone, ingress(2, EUROPE)], 2)
    assert ids(choice) == [2]
    assert choice.reasons[1].endswith("Not chosen. Nearer than ingress 2 in eu, but no heartbeat for 5 s.")
    assert ids(choose_ingresses(FROM_NEW_YORK, [gone], 2)) == [1]


def test_a_forbidden_region_is_no_resort_at_all() -> None:
    view = attrs.evolve(FROM_NEW_YORK, residency=ONLY_EUROPE)
    choice = choose_ingresses(view, [ingress(1, AMERICA), ingress(2)], 2)
    assert ids(choice) == []
    assert choice.reasons[0].startswith("ingress 1 in us: forbidden: callers from US only in eu, 351 km")
    assert names(choose_transceiver(view, [TransceiverCandidate(name="a", region=AMERICA)])) == []


def test_a_transceiver_that_takes_no_calls_is_named_but_never_chosen() -> None:
    choice = choose_transceiver(
        NOWHERE,
        [
            TransceiverCandidate(name="http://one", is_ready=False, reason="draining"),
            TransceiverCandidate(name="http://two", region=EUROPE, load=0.5),
            TransceiverCandidate(name="http://three", load=0.25),
        ],
    )
    assert names(choice) == ["http://three", "http://two"]
    assert choice.reasons == (
        "http://three: nobody tells where the caller is, 25% full.",
        "http://two in eu: nobody tells where the caller is, 50% full (+1 ms).",
        "http://one: takes no calls, draining, nobody tells where the caller is. Not chosen.",
    )


def test_a_transceiver_whose_heartbeats_are_late_is_asked_last() -> None:
    late = TransceiverCandidate(name="late", region=AMERICA, is_healthy=False, reason="its last heartbeat was 4 s ago")
    choice = choose_transceiver(FROM_NEW_YORK, [late, TransceiverCandidate(name="far", region=EUROPE)])
    assert names(choice) == ["far", "late"]
    assert choice.reasons[1].endswith("Nearer than far in eu, but its last heartbeat was 4 s ago.")
    assert names(choose_transceiver(FROM_NEW_YORK, [late])) == ["late"]


def test_a_draining_region_is_used_only_when_nothing_else_is_left() -> None:
    draining = attrs.evolve(AMERICA, is_draining=True)
    near = TransceiverCandidate(name="near", region=draining)
    choice = choose_transceiver(FROM_NEW_YORK, [near, TransceiverCandidate(name="far", region=EUROPE)])
    assert names(choice) == ["far", "near"]
    assert choice.reasons[1].endswith("Nearer than far in eu, but the region us is draining.")
    assert ids(choose_ingresses(FROM_NEW_YORK, [ingress(1, draining), ingress(2, EUROPE)], 1)) == [2]
    assert names(choose_transceiver(FROM_NEW_YORK, [near])) == ["near"]


def test_the_capacity_of_a_region_counts_for_all_its_transceivers() -> None:
    small = attrs.evolve(AMERICA, capacity=10)
    near = [TransceiverCandidate(name=f"near{number}", region=small, load=0.1, calls=5) for number in range(2)]
    far = TransceiverCandidate(name="far", region=EUROPE)
    assert names(choose_transceiver(FROM_NEW_YORK, [*near, far]))[0] == "far"
    assert names(choose_transceiver(FROM_NEW_YORK, [near[0], far]))[0] == "near0"


def test_what_was_measured_goes_before_what_was_predicted() -> None:
    candidates = [TransceiverCandidate(name="near", region=AMERICA), TransceiverCandidate(name="far", region=EUROPE)]
    view = attrs.evolve(FROM_NEW_YORK, measured={"us": Measured(milliseconds=180, confidence=0.9, calls=9)})
    choice = choose_transceiver(view, candidates)
    assert names(choice) == ["far", "near"]
    assert choice.reasons[1].endswith(
        "about 16 ms, measured 180 ms 9 times, taken as 164 ms. "
        "Nearer than far in eu, but worse in round trip 163.6 to 109.2 ms."
    )


def test_a_region_that_loses_packets_is_left_as_far_as_that_costs_and_told_so() -> None:
    boston = Region(name="boston", place=Place(latitude=42.36, longitude=-71.06))
    candidates = [TransceiverCandidate(name=each.name, region=each) for each in (AMERICA, boston, EUROPE)]
    relays = [ingress(1, AMERICA), ingress(2, boston), ingress(3, EUROPE)]
    health = {"us": Health(loss=0.03, why="callers of 23 networks lose 3.0% in the region")}
    view = Viewpoint(place=AMERICA.place, region_health=health)
    assert names(choose_transceiver(attrs.evolve(view, region_health={}), candidates)) == ["us", "boston", "eu"]
    choice = choose_transceiver(view, candidates)
    assert names(choice) == ["boston", "us", "eu"], "not over the ocean"
    assert choice.reasons[1].endswith(
        "about 10 ms, callers of 23 networks lose 3.0% in the region (+60 ms). "
        "Nearer than boston in boston, but worse in health 60.0 to 0.0 ms."
    )
    assert ids(choose_ingresses(view, relays, 3)) == [2, 1, 3]


def test_of_two_in_a_region_the_one_that_is_well_is_taken() -> None:
    late = TransceiverCandidate(name="late", region=AMERICA, health=Health(delay=40, why="it answers 40 ms late"))
    well = TransceiverCandidate(name="well", region=AMERICA, load=0.5)
    choice = choose_transceiver(FROM_NEW_YORK, [late, well])
    assert names(choice) == ["well", "late"]
    assert "it answers 40 ms late (+40 ms)" in choice.reasons[1]
    lossy = ingress(1, AMERICA, health=Health(loss=0.05, why="it loses 5 %"))
    assert ids(choose_ingresses(FROM_NEW_YORK, [lossy, ingress(2, AMERICA)], 1)) == [2]


def test_callers_stay_where_they_are_served_until_another_region_is_clearly_better() -> None:
    paris = Region(name="paris", place=Place(latitude=48.86, longitude=2.35))
    candidates = [TransceiverCandidate(name="paris", region=paris), TransceiverCandidate(name="eu", region=EUROPE)]
    between = Place(latitude=49.5, longitude=5.5)
    first, second = (names(choose_transceiver(Viewpoint(place=between, usual_region=usual), candidates))[0]
                     for usual in ("paris", "eu"))  # fmt: skip
    assert (first, second) == ("paris", "eu")
    assert names(choose_transceiver(Viewpoint(place=NEW_YORK, usual_region="eu"), [
        *candidates, TransceiverCandidate(name="us", region=AMERICA)]))[0] == "us"  # fmt: skip


def test_a_full_one_is_asked_after_all_that_have_room_wherever_they_are() -> None:
    antipode = Region(name="far", place=Place(latitude=-40.71, longitude=106))
    near = TransceiverCandidate(name="near", region=AMERICA, load=1)
    choice = choose_transceiver(FROM_NEW_YORK, [near, TransceiverCandidate(name="far", region=antipode)])
    assert names(choice) == ["far", "near"]
    assert choice.reasons[1].endswith("Nearer than far in far, but full.")
    assert ids(choose_ingresses(FROM_NEW_YORK, [ingress(1, AMERICA, load=1), ingress(2, antipode)], 1)) == [2]


def test_calls_spread_over_one_region_from_the_first() -> None:
    # The term of so small a load is lost beside the round trip's.
    fuller = TransceiverCandidate(name="fuller", region=EUROPE, load=0.002)
    emptier = TransceiverCandidate(name="emptier", region=EUROPE, load=0.001)
    assert names(choose_transceiver(FROM_NEW_YORK, [fuller, emptier])) == ["emptier", "fuller"]


def test_relays_are_chosen_by_their_load_return_and_habit_as_transceivers_are() -> None:
    boston = Region(name="boston", place=Place(latitude=42.36, longitude=-71.06))
    best = ingress(1, boston)
    other = ingress(2, AMERICA)
    assert ids(choose_ingresses(FROM_NEW_YORK, [best, other], 1)) == [1]
    assert ids(choose_ingresses(FROM_NEW_YORK, [attrs.evolve(best, load=0.9), other], 1)) == [2]
    back = attrs.evolve(best, load=0.08, up_seconds=0)
    assert ids(choose_ingresses(FROM_NEW_YORK, [back, other], 1)) == [2]
    assert ids(choose_ingresses(FROM_NEW_YORK, [attrs.evolve(back, up_seconds=60), other], 1)) == [1]
    assert ids(choose_ingresses(attrs.evolve(FROM_NEW_YORK, usual_region="us"), [best, other], 1)) == [2]


# -- laws

places = st.builds(Place, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))
region_lists = st.lists(
    st.builds(
        Region,
        name=st.just("r"),
        place=st.none() | places,
        capacity=st.sampled_from([0, 0, 10]),
        is_draining=st.booleans(),
    ),
    min_size=1,
    max_size=4,
).map(lambda found: [attrs.evolve(each, name=f"r{number}") for number, each in enumerate(found)])
healths = st.just(WELL) | st.builds(Health, loss=st.floats(0, 1), delay=st.floats(0, 500), why=st.just("it is ill"))
shares = st.floats(0, 1.2) | st.sampled_from([0.0, 0.5, 1.0])
backs = st.none() | st.floats(0, 120)


@st.composite
def viewpoints(draw: st.DrawFn) -> Viewpoint:
    some = st.sets(st.sampled_from(["r0", "r1", "r2", "r3"]))
    allowed = draw(st.none() | some)
    measures = st.builds(Measured, milliseconds=st.floats(1, 2000), confidence=st.floats(0, 1))
    return Viewpoint(
        place=draw(st.none() | places),
        residency=NO_RESIDENCY if allowed is None else Residency(regions=frozenset(allowed), why="a rule"),
        measured=draw(st.dictionaries(st.sampled_from(["r0", "r1", "r2"]), measures)),
        usual_region=draw(st.sampled_from(["", "r0", "r1"])),
        region_health=draw(st.dictionaries(st.sampled_from(["r0", "r1", "r2"]), healths)),
    )


@st.composite
def candidate_lists(draw: st.DrawFn) -> list[TransceiverCandidate]:
    regions = st.none() | st.sampled_from(draw(region_lists))
    fields = {
        "name": st.just("t"),
        "region": regions,
        "load": shares,
        "calls": st.integers(0, 12),
        "is_ready": st.booleans(),
        "is_healthy": st.booleans(),
        "is_draining": st.booleans(),
        "up_seconds": backs,
        "health": healths,
    }
    found = draw(st.lists(st.builds(TransceiverCandidate, **fields), max_size=7))
    return [attrs.evolve(each, name=f"t{number}") for number, each in enumerate(found)]


@st.composite
def ingress_lists(draw: st.DrawFn) -> list[Ingress]:
    regions = st.none() | st.sampled_from(draw(region_lists))
    fields = {
        "id": st.just(1),
        "host": st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"]),
        "port": st.just(3478),
        "region": regions,
        "relay": st.sampled_from(["", "one", "two"]),
        "machine": st.sampled_from(["", "m"]),
        "load": shares,
        "is_healthy": st.booleans(),
        "is_draining": st.booleans(),
        "up_seconds": backs,
        "health": healths,
    }
    found = draw(st.lists(st.builds(Ingress, **fields), max_size=7))
    return [attrs.evolve(each, id=number) for number, each in enumerate(found, 1)]


def is_good(item: Ingress | TransceiverCandidate) -> bool:
    """Neither unhealthy nor draining, and not in a draining region."""
    is_ready = item.is_ready if isinstance(item, TransceiverCandidate) else True
    is_open = item.region is None or not item.region.is_draining
    return is_ready and item.is_healthy and not item.is_draining and is_open


def kilometres(choice: Choice[Ingress] | Choice[TransceiverCandidate], position: int) -> float | None:
    return choice.ranked[position].score.way.kilometres


def check_that_nearer_losers_are_told_why(choice: Choice[Ingress] | Choice[TransceiverCandidate]) -> None:
    assert len(choice.reasons) == len(choice.ranked)
    for position, each in enumerate(choice.ranked):
        own = kilometres(choice, position)
        if not choice.items or own is None:
            continue
        better = [far for index in range(position) if (far := kilometres(choice, index)) is not None and far > own]
        assert bool(better) == (" Nearer than " in choice.reasons[position])
        if better:
            _, _, reason = choice.reasons[position].partition(", but ")
            given = [f"{name} " for name, value in each.score.terms.items() if value] + ["as good"]
            assert each.why in reason if each.why else any(word in reason for word in given)


@given(viewpoints(), candidate_lists())
def test_transceivers_that_take_calls_are_offered_once_the_good_ones_first(
    view: Viewpoint, candidates: list[TransceiverCandidate]
) -> None:
    choice = choose_transceiver(view, candidates)
    assert all(view.residency.allows(item.region) for item in choice.items)
    assert all(item.is_ready and not item.is_draining for item in choice.items)
    goodness = [is_good(item) for item in choice.items]
    assert goodness == sorted(goodness, reverse=True)
    assert len(set(names(choice))) == len(choice.items)
    assert {each.item.name for each in choice.ranked} == {item.name for item in candidates}
    if any(is_good(item) and view.residency.allows(item.region) for item in candidates):
        assert is_good(choice.items[0])
    check_that_nearer_losers_are_told_why(choice)


@given(viewpoints(), ingress_lists(), st.integers(0, 8), region_lists)
def test_ingresses_are_as_many_good_ones_as_there_are(
    view: Viewpoint, ingresses: list[Ingress], count: int, regions: list[Region]
) -> None:
    choice = choose_ingresses(view, ingresses, count, onward_to=regions[0])
    allowed = [item for item in ingresses if view.residency.allows(item.region)]
    good = [item for item in allowed if is_good(item)]
    assert all(view.residency.allows(item.region) for item in choice.items)
    assert bool(choice.items) == bool(allowed and count)
    if good:
        assert all(is_good(item) for item in choice.items)
        assert len(choice.items) == min(count, len([item for item in good if item.load < 1]) or len(good))
    assert sorted(each.item.id for each in choice.ranked) == sorted(item.id for item in ingresses)
    # Of the addresses that have room, no relay is taken twice while another is not in the answer.
    roomy = [item for item in good if item.load < 1]
    relays = {item.relay_name for item in roomy}
    taken = [item.relay_name for item in choice.items[: min(count, len(relays))]]
    assert len(set(taken)) == len(taken)
    check_that_nearer_losers_are_told_why(choice)


@given(viewpoints(), candidate_lists())
def test_more_calls_never_bring_a_transceiver_forward(view: Viewpoint, candidates: list[TransceiverCandidate]) -> None:
    before = choose_transceiver(view, candidates)
    for name in names(before):
        fuller = [attrs.evolve(each, load=each.load + 0.3) if each.name == name else each for each in candidates]
        assert names(choose_transceiver(view, fuller)).index(name) >= names(before).index(name)


@given(viewpoints(), candidate_lists(), healths)
def test_worse_health_never_brings_a_transceiver_forward(
    view: Viewpoint, candidates: list[TransceiverCandidate], more: Health
) -> None:
    before = choose_transceiver(view, candidates)
    for name in names(before):
        worse = [
            attrs.evolve(each, health=attrs.evolve(each.health, loss=each.health.loss + more.loss, why="ill"))
            if each.name == name
            else each
            for each in candidates
        ]
        assert names(choose_transceiver(view, worse)).index(name) >= names(before).index(name)


@given(viewpoints(), candidate_lists(), st.sampled_from(["r0", "r1", "r2", "r3"]), healths)
def test_worse_health_of_a_region_never_brings_its_transceivers_forward(
    view: Viewpoint, candidates: list[TransceiverCandidate], region: str, more: Health
) -> None:
    now = view.region_health.get(region, WELL)
    worse = Health(loss=now.loss + more.loss, delay=now.delay + more.delay, why="ill")
    before = choose_transceiver(view, candidates)
    after = choose_transceiver(attrs.evolve(view, region_health={**view.region_health, region: worse}), candidates)
    for candidate in candidates:
        if candidate in before.items and candidate.region is not None and candidate.region.name == region:
            # Others of the region may move behind it, but nobody from elsewhere.
            others = [each.name for each in candidates if each.region is None or each.region.name != region]
            ahead, still = (
                {each for each in names(choice)[: names(choice).index(candidate.name)] if each in others}
                for choice in (before, after)
            )
            assert ahead <= still


@given(viewpoints(), candidate_lists())
def test_health_sends_nobody_further_than_its_bound(view: Viewpoint, candidates: list[TransceiverCandidate]) -> None:
    # Nor into a worse standing: as if all were well, and the chosen one that much nearer.
    well = choose_transceiver(
        attrs.evolve(view, region_health={}), [attrs.evolve(each, health=WELL) for each in candidates]
    )
    choice = choose_transceiver(view, candidates)
    if choice.items:
        chosen = next(each for each in well.ranked if each.name == choice.items[0].name)
        best = well.ranked[0]
        assert chosen.standing == best.standing
        assert chosen.score.total <= best.score.total + MOST_FOR_HEALTH + 1e-6
        assert choice.ranked[0].score.health <= MOST_FOR_HEALTH


@given(viewpoints(), candidate_lists(), healths)
def test_who_is_as_ill_as_all_the_others_is_chosen_as_if_all_were_well(
    view: Viewpoint, candidates: list[TransceiverCandidate], health: Health
) -> None:
    view = attrs.evolve(view, region_health={})
    well, ill = (
        choose_transceiver(view, [attrs.evolve(each, health=one) for each in candidates]) for one in (WELL, health)
    )
    scores = {each.name: each.score.total for each in well.ranked}
    assert [each.standing for each in ill.ranked] == [each.standing for each in well.ranked]
    for position, name in enumerate(names(ill)):
        assert abs(scores[name] - scores[names(well)[position]]) < 1e-6  # rounding may part those that are equal
