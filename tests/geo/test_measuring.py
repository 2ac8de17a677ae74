"""What calls have shown is averaged, ages, is bounded, and corrects the prediction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.measuring import CallerNetworks

HERE = "203.0.113.0/24"
HOURS = 3600.0


def test_one_measurement_counts_as_much_as_the_prediction_and_many_count_almost_alone() -> None:
    networks = CallerNetworks()
    assert networks.measured(HERE, 0) == {}
    networks.observe(HERE, "eu", 40, 0)
    (measured,) = networks.measured(HERE, 0).values()
    assert (measured.milliseconds, measured.confidence, measured.calls) == (40, 0.5, 1)
    for _ in range(8):
        networks.observe(HERE, "eu", 40, 0)
    assert networks.measured(HERE, 0)["eu"].confidence == 0.9


def test_the_average_follows_what_is_new() -> None:
    networks = CallerNetworks()
    for milliseconds in [40.0] * 20 + [100.0] * 20:
        networks.observe(HERE, "eu", milliseconds, 0)
    assert networks.measured(HERE, 0)["eu"].milliseconds == pytest.approx(100, abs=1)


def test_one_bad_moment_moves_an_average_a_little() -> None:
    networks = CallerNetworks()
    for milliseconds in [40.0] * 20 + [140.0]:
        networks.observe(HERE, "eu", milliseconds, 0)
    assert networks.measured(HERE, 0)["eu"].milliseconds == pytest.approx(60)


def test_what_is_old_is_believed_less() -> None:
    networks = CallerNetworks()
    networks.observe(HERE, "eu", 40, 0)
    assert networks.measured(HERE, 6 * HOURS)["eu"].confidence == 0.25
    assert networks.measured(HERE, 48 * HOURS)["eu"].confidence < 0.01


def test_a_habit_is_forgotten() -> None:
    networks = CallerNetworks()
    networks.serve(HERE, "eu", 100)
    assert networks.usual_region(HERE, 900) == "eu"
    assert networks.usual_region(HERE, 1001) == ""
    assert networks.usual_region("198.51.100.0/24", 100) == ""


@pytest.mark.parametrize(
    ("network", "region", "milliseconds"),
    [("", "eu", 10), (HERE, "", 10), (HERE, "eu", 0), (HERE, "eu", -1), (HERE, "eu", float("nan")), (HERE, "eu", 1e9)],
)
def test_nonsense_is_not_remembered(network: str, region: str, milliseconds: float) -> None:
    networks = CallerNetworks()
    networks.observe(network, region, milliseconds, 0)
    assert len(networks) == 0


def test_the_network_used_longest_ago_goes_first() -> None:
    networks = CallerNetworks(max_networks=2)
    for network in ("a", "b", "a", "c"):
        networks.observe(network, "eu", 10, 0)
    assert [bool(networks.measured(network, 0)) for network in "abc"] == [True, False, True]


def test_regions_of_a_network_are_bounded_too() -> None:
    networks = CallerNetworks()
    for number in range(100):
        networks.observe(HERE, f"r{number}", 10, number)
    measured = networks.measured(HERE, 100)
    assert len(measured) == 64
    assert "r99" in measured
    assert "r0" not in measured


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), st.floats(1, 5000), st.floats(0, 1e6))))
def test_averages_stay_inside_what_was_measured(seen: list[tuple[str, str, float, float]]) -> None:
    networks = CallerNetworks(max_networks=3)
    for network, region, milliseconds, now in seen:
        networks.observe(network, region, milliseconds, now)
    assert len(networks) <= 3
    for network in "abcdef":
        for region, measured in networks.measured(network, 1e6).items():
            values = [value for where, to, value, _ in seen if (where, to) == (network, region)]
            assert min(values) - 1e-6 <= measured.milliseconds <= max(values) + 1e-6
            assert 0 <= measured.confidence < 1
