"""Regions are rated by what the networks of their callers have lost; one caller, or a few who lie, change nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.health import WELL, Health, lower_median, worse_of
from geo.losses import RegionLosses


class Region:
    """Callers of networks that tell every 15 s what they lose."""

    def __init__(self) -> None:
        self.losses = RegionLosses()
        self.now = 0.0

    def tell(self, losses: dict[str, float], seconds: float, region: str = "eu") -> float:
        """Let networks tell for a while; returns the region's rating then."""
        until = self.now + seconds
        while self.now < until:
            for network, loss in losses.items():
                self.losses.observe(network, region, loss, self.now)
            self.now += 15
            self.losses.health(self.now)
        return self.rating(region)

    def rating(self, region: str = "eu") -> float:
        return self.losses.health(self.now).get(region, WELL).loss


def networks(count: int, loss: float, first: int = 0) -> dict[str, float]:
    return {f"10.0.{number}.0/24": loss for number in range(first, first + count)}


@pytest.fixture
def region() -> Region:
    return Region()


def test_a_region_that_loses_what_all_send_is_rated_by_it(region: Region) -> None:
    assert 0.035 < region.tell(networks(20, 0.05), 600) <= 0.05
    assert "callers of 20 networks lose" in region.losses.health(region.now)["eu"].why


def test_it_takes_some_looks_to_be_believed_and_as_many_to_be_forgiven(region: Region) -> None:
    assert region.tell(networks(20, 0.05), 15) == 0
    bad = region.tell(networks(20, 0.05), 900)
    assert 0.25 * bad < region.tell(networks(20, 0.0), 30) < bad
    assert region.tell(networks(20, 0.0), 300) == 0


def test_one_caller_with_a_bad_network_changes_nothing_however_many_calls_it_has(region: Region) -> None:
    for _ in range(40):
        for _ in range(100):
            region.losses.observe("10.9.9.0/24", "eu", 1.0, region.now)
        assert region.tell(networks(10, 0.0), 15) == 0


def test_few_networks_rate_nobody(region: Region) -> None:
    assert region.tell(networks(7, 0.1), 900) == 0
    assert region.tell(networks(8, 0.1), 900) > 0.05


@given(st.integers(0, 9), st.floats(0, 1))
def test_less_than_half_of_the_networks_move_a_rating_by_nothing(liars: int, lie: float) -> None:
    well, ill = Region(), Region()
    assert well.tell(networks(liars, lie) | networks(10, 0.0, 100), 300) == 0
    honest = ill.tell(networks(10, 0.05, 100), 300)
    assert ill.tell(networks(liars, lie) | networks(10, 0.05, 100), 300) >= honest, "nor do they whitewash one"


def test_what_callers_lose_everywhere_is_not_the_regions_fault(region: Region) -> None:
    assert region.tell(networks(20, 0.05), 600) > 0.03
    region.tell(networks(20, 0.05), 600, "us")
    assert region.rating("us") == 0, "it is lost there as well"
    assert region.tell(networks(20, 0.05), 900) == 0, "so they come back"


def test_what_they_lose_in_one_region_alone_is_its_fault(region: Region) -> None:
    region.tell(networks(20, 0.0), 60, "us")
    assert region.tell(networks(20, 0.05), 600) > 0.03


def test_a_rating_that_nobody_renews_is_forgotten(region: Region) -> None:
    bad = region.tell(networks(20, 0.05), 900)
    region.tell({}, 360)
    assert 0 < region.rating() < bad
    assert "when there were enough" in region.losses.health(region.now)["eu"].why
    region.tell({}, 1800)
    assert region.rating() == 0
    assert not region.losses._ratings


def test_noise_does_not_show(region: Region) -> None:
    region.tell(networks(20, 0.03), 900)
    seen = {region.tell(networks(20, 0.03 + 0.003 * (number % 3 - 1)), 15) for number in range(60)}
    assert len(seen) == 1


def test_small_losses_cost_nothing(region: Region) -> None:
    assert region.tell(networks(20, 0.009), 1800) == 0


def test_who_looks_seldom_believes_no_sooner() -> None:
    region = Region()
    region.losses.health(0)
    region.now = 3600
    region.losses.health(region.now)
    assert region.tell(networks(20, 0.05), 15) == 0


@pytest.mark.parametrize(
    ("network", "name", "loss"),
    [("", "eu", 0.1), ("10.0.0.0/24", "", 0.1), ("10.0.0.0/24", "eu", -0.1), ("10.0.0.0/24", "eu", 1.1),
     ("10.0.0.0/24", "eu", float("nan"))],
)  # fmt: skip
def test_nonsense_is_not_filed(network: str, name: str, loss: float) -> None:
    losses = RegionLosses()
    losses.observe(network, name, loss, 0)
    assert len(losses) == 0


def test_memory_is_bounded() -> None:
    losses = RegionLosses(max_networks=10)
    for number in range(1000):
        losses.observe(f"10.0.{number}.0/24", "eu", 0.1, 0)
        losses.observe("10.0.0.0/24", f"region {number}", 0.1, number)
    assert len(losses) == 10
    assert all(len(regions) <= 16 for regions in losses._networks.values())


def test_the_worse_of_two_is_taken_and_not_their_sum() -> None:
    lossy, late = Health(loss=0.05, why="it loses"), Health(loss=0.02, delay=30, why="it is late")
    assert worse_of(lossy, WELL) == worse_of(WELL, lossy) == lossy
    assert worse_of(lossy, late) == Health(loss=0.05, delay=30, why="it loses, it is late")
    assert worse_of(late, Health(loss=0.01, why="less")) == late
    assert worse_of(Health(delay=5, why="late"), Health(delay=9, why="later")) == Health(delay=9, why="later")


@given(st.lists(st.floats(0, 1), min_size=1), st.lists(st.floats(0, 1)))
def test_a_minority_does_not_take_a_median_beyond_the_others(honest: list[float], others: list[float]) -> None:
    others = others[: len(honest) - 1]
    assert min(honest) <= lower_median(honest + others) <= max(honest)
