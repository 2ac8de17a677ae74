"""Distances obey the laws of a sphere, and a few cities."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.regions import Place, distance_km

HALF_WAY_ROUND = math.pi * 6371.0088

places = st.builds(Place, latitude=st.floats(-90, 90), longitude=st.floats(-180, 180))


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        ((52.5200, 13.4050), (40.7128, -74.0060), 6385),  # Berlin, New York
        ((-33.8688, 151.2093), (51.5074, -0.1278), 16994),  # Sydney, London
        ((64.13, -21.9), (64.13, -21.9), 0),
        ((0, 179.5), (0, -179.5), 111),  # across the date line
        ((90, 0), (-90, 120), 20015),  # pole to pole, whatever the longitude
    ],
)
def test_known_distances(one: tuple[float, float], other: tuple[float, float], kilometres: float) -> None:
    first, second = (Place(latitude=latitude, longitude=longitude) for latitude, longitude in (one, other))
    assert distance_km(first, second) == pytest.approx(kilometres, abs=1, rel=0.001)


@given(places, places)
def test_distance_is_symmetric_and_bounded(one: Place, other: Place) -> None:
    assert 0 <= distance_km(one, other) <= HALF_WAY_ROUND + 1e-6
    assert distance_km(one, other) == pytest.approx(distance_km(other, one))
    assert distance_km(one, one) == 0


@given(places, places, places)
def test_no_detour_is_shorter(one: Place, other: Place, third: Place) -> None:
    assert distance_km(one, other) <= distance_km(one, third) + distance_km(third, other) + 1e-3


@pytest.mark.parametrize(("latitude", "longitude"), [(90.1, 0), (-91, 0), (0, 180.5), (math.nan, 0), (0, math.inf)])
def test_a_place_is_on_the_earth(latitude: float, longitude: float) -> None:
    with pytest.raises(ValueError, match="is not between"):
        Place(latitude=latitude, longitude=longitude)
