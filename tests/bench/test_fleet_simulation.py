"""Twelve regions on the real code of geo, smaller than `python -m bench.fleet_simulation`: what it shows holds."""

from pathlib import Path
from statistics import mean, pstdev

import attrs
import pytest

from bench.fleet_simulation.fleet import Ailment
from bench.fleet_simulation.plot import draw, draw_ailment
from bench.fleet_simulation.results import Results, quantile
from bench.fleet_simulation.simulation import Settings, simulate
from bench.fleet_simulation.trial import fingerprint, read_origin, sign
from geo.scoring import Weights

SETTINGS = Settings(callers=8000, seconds=1000, mean_call=100, seed=7)


@pytest.fixture(scope="module")
def results() -> Results:
    return simulate(SETTINGS)


@pytest.fixture(scope="module")
def unmeasured(results: Results) -> Results:
    """Until the death, as nobody looks at what comes then."""
    return simulate(attrs.evolve(SETTINGS, learns=False), until=results.died)


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (simulate(Settings(callers=200, seconds=200)) for _ in range(2))
    assert (first.placed, first.loads) == (second.placed, second.loads)
    assert simulate(Settings(callers=200, seconds=200, seed=2)).placed != first.placed


def test_callers_get_nearly_the_best_way_there_is(results: Results) -> None:
    detours = results.detours(until=results.died)
    assert quantile(detours, 0.5) == 0
    assert quantile(detours, 0.9) < 20
    assert quantile(detours, 0.99) < 80


def test_measured_round_trips_shorten_the_ways(results: Results, unmeasured: Results) -> None:
    with_them, without = (
        sum(run.detours(200, run.died)) / len(run.detours(200, run.died)) for run in (results, unmeasured)
    )
    assert with_them < 0.8 * without


def test_rules_of_residency_hold_for_every_call_and_every_relay(results: Results) -> None:
    germans = [each for each in results.placed if each.country == "DE"]
    assert len(germans) > 50
    assert {region for each in germans for region in (each.region, *each.relays)} == {"eu-central", "eu-west"}


def test_a_region_that_was_built_too_small_spills_before_it_is_full(results: Results) -> None:
    assert not results.refused
    assert results.highest_load(200, results.died) < 1
    tight = [load for when, load in zip(results.times, results.loads["ap-south"], strict=True) if 200 <= when < 400]
    assert 0.7 < sum(tight) / len(tight) < 0.95


def test_a_dead_region_gets_nothing_and_its_callers_are_taken_elsewhere(results: Results) -> None:
    assert results.lost > 30
    dead = [each for each in results.placed if results.died + 1 <= each.when < results.returned]
    assert results.victim not in {region for each in dead for region in (each.region, *each.relays)}
    assert not results.refused
    # All who lost their call called again within seconds, and nobody's region was full at the next question.
    assert len([each for each in dead if each.when < results.died + 10]) > results.lost
    assert results.highest_load(results.died, results.returned) <= 1


def test_a_region_that_returns_is_not_flooded_and_gets_its_callers_back(results: Results) -> None:
    loads = dict(zip(results.times, results.loads[results.victim], strict=True))
    before = sum(loads[when] for when in range(200, 400, 10)) / 20
    assert max(loads[results.returned + later] for later in (10, 20, 30)) < before / 2
    assert sum(loads[when] for when in range(800, 1000, 10)) / 20 > 0.75 * before
    assert results.highest_load(results.returned) <= 1


def test_callers_do_not_flap(results: Results) -> None:
    eager = simulate(attrs.evolve(SETTINGS, weights=Weights(change=0)), until=results.died)
    assert results.changes(200, results.died) < 0.15
    assert results.changes(200, results.died) < eager.changes(200, eager.died), "that is what the term is for"


def test_without_the_load_term_regions_fill_up() -> None:
    careless = simulate(
        attrs.evolve(SETTINGS, callers=3200, seconds=400, weights=Weights(load=0), victim=""), until=300
    )
    assert careless.highest_load(200) == 1


def test_two_relays_are_offered(results: Results) -> None:
    assert all(len(each.relays) == 2 for each in results.placed)


def test_the_picture_is_a_picture(results: Results, unmeasured: Results) -> None:
    picture = draw(results, unmeasured)
    assert picture.startswith("<svg ")
    assert picture.endswith("</svg>\n")
    assert picture.count("<polyline ") == 2 + 12, "two distributions, and the load of each region"
    assert "nan" not in picture


QUIET = Settings(callers=6750, seconds=1800, mean_call=120, seed=7, victim="")
AILMENT = Ailment(region="eu-central", begins=0.3, ends=0.6, loss=0.05)
ILL, WELL_AGAIN = (660, 1080), (1350, 1800)
"""Seconds: while the ailment has shown, and when it is long over."""


@pytest.fixture(scope="module")
def quiet() -> Results:
    """Nothing is wrong but 15 % of the callers' own networks."""
    return simulate(QUIET)


@pytest.fixture(scope="module")
def ailing() -> Results:
    return simulate(attrs.evolve(QUIET, ailment=AILMENT))


def placed_in(results: Results, region: str, since: float, until: float) -> int:
    return sum(each.region == region for each in results.placed if since <= each.when < until)


def test_callers_with_bad_networks_and_a_few_who_lie_cost_no_region_anything(quiet: Results) -> None:
    lied_to = simulate(attrs.evolve(QUIET, liars=0.1), until=900)
    assert quiet.placed[: len(lied_to.placed)] == lied_to.placed


def test_a_region_that_loses_packets_is_left_by_those_who_have_somewhere_to_go(quiet: Results, ailing: Results) -> None:
    usual, now = (placed_in(each, AILMENT.region, *ILL) for each in (quiet, ailing))
    assert 0 < now < 0.65 * usual
    germans = {each.region for each in ailing.placed if each.country == "DE"}
    assert germans == {"eu-central", "eu-west"}, "rules are not bent"
    assert not ailing.refused, "nor do others overflow"
    # None was sent further than that costs, 5 % being 100 ms.
    assert max(ailing.detours(*ILL)) < max(quiet.detours(*ILL)) + 100


def test_callers_come_back_when_a_region_is_well_again(quiet: Results, ailing: Results) -> None:
    usual, now = (placed_in(each, AILMENT.region, *WELL_AGAIN) for each in (quiet, ailing))
    assert 0.9 * usual < now < 1.1 * usual


def test_callers_that_leave_and_come_back_do_not_flap(quiet: Results, ailing: Results) -> None:
    # The way there and back for those who leave, once each; not the coming and going of one call after the other.
    assert ailing.changes(450, 1800) < quiet.changes(450, 1800) + 0.03


def test_a_region_that_loses_packets_the_fuller_it_is_finds_its_measure(quiet: Results) -> None:
    crowding = Ailment(region="us-east", begins=0.2, ends=1.0, loss=0.2, load=0.3)
    results = simulate(attrs.evolve(QUIET, ailment=crowding), until=1300)
    loads = [load for when, load in zip(results.times, results.loads["us-east"], strict=True) if when >= 720]
    assert 0.3 < mean(loads) < 0.5 < mean(quiet.loads["us-east"][72:130]), "less than it would have, more than none"
    assert pstdev(loads) < 0.12
    assert results.changes(720, 1300) < quiet.changes(720, 1300) + 0.06


def test_the_picture_of_an_ailment_is_one(quiet: Results, ailing: Results) -> None:
    picture = draw_ailment(AILMENT, ailing, quiet)
    assert picture.startswith("<svg ")
    assert picture.endswith("</svg>\n")
    assert picture.count("<polyline ") == 2 + 11, "the region's with and without, and those of the others"
    assert "nan" not in picture


PICTURES = Path(__file__).parents[2] / "docs" / "images"
COMMAND = "python -m bench.fleet_simulation --callers 100000 --seed 1"


def test_the_pictures_in_the_documents_are_of_today() -> None:
    today = fingerprint()
    for name in ("fleet-simulation.svg", "fleet-health.svg"):
        origin = read_origin((PICTURES / name).read_text())
        assert origin == (COMMAND, today), f"{name}: what it shows is chosen or drawn otherwise now; `{COMMAND}`"
    assert f"`{COMMAND}`" in (PICTURES.parent / "geography.md").read_text()


def test_a_trial_sees_another_weight() -> None:
    few = Settings(callers=200, seconds=150, mean_call=60)
    prints = [fingerprint(attrs.evolve(few, weights=weights)) for weights in (Weights(), Weights(load=0))]
    assert prints[0] == fingerprint(few) != prints[1]


def test_what_does_not_say_where_it_is_from_is_out_of_date() -> None:
    assert read_origin(sign("<svg></svg>\n", Settings(callers=5, seed=2), "0" * 16))[1] == "0" * 16
    with pytest.raises(ValueError, match="where it is from"):
        read_origin("<svg></svg>\n")
