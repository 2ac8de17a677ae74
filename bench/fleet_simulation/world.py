"""The earth: regions, callers near big cities, and how long the ways between them really take."""

import random
from collections.abc import Mapping

import attrs

from bench.fleet_simulation.cities import CITIES
from geo.regions import Place, Region
from geo.round_trips import predicted_round_trip, round_trip_of

__all__ = ["REGIONS", "Caller", "World"]

REGIONS = tuple(
    Region(name=name, place=Place(latitude=latitude, longitude=longitude))
    for name, latitude, longitude in (
        ("us-east", 39.04, -77.49),
        ("us-west", 45.84, -119.70),
        ("sa-east", -23.55, -46.63),
        ("eu-west", 53.35, -6.26),
        ("eu-central", 50.11, 8.68),
        ("eu-north", 59.33, 18.07),
        ("me-south", 26.07, 50.55),
        ("af-south", -33.92, 18.42),
        ("ap-south", 19.08, 72.88),
        ("ap-southeast", 1.35, 103.82),
        ("ap-northeast", 35.68, 139.69),
        ("ap-australia", -33.87, 151.21),
    )
)

_NETWORKS_PER_MILLION = 1
_SPREAD_DEGREES = 0.6
_DETOUR = (1.0, 0.28)
"""Real routes against the prediction: mean and deviation of the logarithm's, about; some are twice as long."""

_NOISE = 0.06

_BAD_NETWORKS = 0.15
"""Share of the networks that lose packets of their own, wherever they call; of the others each loses next to none."""

_OWN_LOSS = (0.01, 0.1)
_NO_LOSS = (0.0, 0.003)


@attrs.frozen
class Caller:
    """Somebody who calls.

    Attributes:
        place: where the database says it is.
        country: ISO 3166-1 code.
        network: as `geo.addresses.network_of` would name it.
        real: the real round trip to each region in milliseconds, by name.
        own_loss: share of packets that its network loses, whatever region serves it.
        luck: 0 to 1; who lies is drawn by it.
    """

    place: Place
    country: str
    network: str
    real: Mapping[str, float]
    own_loss: float
    luck: float

    @property
    def ideal(self) -> float:
        """The shortest real round trip there is."""
        return min(self.real.values())


class World:
    """Networks of callers, and their routes; the same for the same seed.

    Args:
        seed: of everything that is drawn.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._losses = random.Random(seed + 2)
        self._networks: list[Caller] = []
        self._weights: list[float] = []
        for number, (_, country, latitude, longitude, millions) in enumerate(CITIES):
            count = max(1, round(millions * _NETWORKS_PER_MILLION))
            for member in range(count):
                self._networks.append(self._network(country, latitude, longitude, f"10.{number}.{member}.0/24"))
                self._weights.append(millions / count)

    def draw(self, count: int) -> list[Caller]:
        """Draw callers, as many for each city as it has people."""
        return self._random.choices(self._networks, self._weights, k=count)

    def measure(self, caller: Caller, region: str) -> float:
        """Let a call measure its round trip: the real one, with the noise of the moment."""
        return caller.real[region] * self._random.uniform(1 - _NOISE, 1 + 2 * _NOISE)

    def lose(self, caller: Caller, share: float, packets: int) -> float:
        """Let a call lose packets, in the region and on its own network; returns the share that was lost."""
        mean = 1 - (1 - share) * (1 - caller.own_loss)
        deviation = (mean * (1 - mean) / packets) ** 0.5
        return min(1.0, max(0.0, self._losses.gauss(mean, deviation)))

    def _network(self, country: str, latitude: float, longitude: float, network: str) -> Caller:
        place = Place(
            latitude=latitude + self._random.gauss(0, _SPREAD_DEGREES),
            longitude=(longitude + self._random.gauss(0, _SPREAD_DEGREES) + 180) % 360 - 180,
        )
        mean, deviation = _DETOUR
        real = {}
        for region in REGIONS:
            predicted = round_trip_of(place, region.place).predicted
            # The last mile is what the prediction says; what lies behind it takes a detour of its own.
            last_mile = predicted_round_trip(0)
            detour = mean * self._random.lognormvariate(0, deviation)
            real[region.name] = last_mile + max(1.0, predicted - last_mile) * detour
        is_bad = self._losses.random() < _BAD_NETWORKS
        own_loss = self._losses.uniform(*(_OWN_LOSS if is_bad else _NO_LOSS))
        return Caller(place, country, network, real, own_loss, self._losses.random())
