"""Where calls came from lately, for the map: bounded, and no finer than a degree or so.

A network stands for its callers, as for round trips; nobody is told an address.
"""

from collections import OrderedDict
from collections.abc import Iterator

import attrs

from geo.caller import CallerLocation

__all__ = ["RecentNetwork", "RecentNetworks"]

_KEPT = 300
_FORGOTTEN_SECONDS = 1800.0


@attrs.define
class RecentNetwork:
    """A network that calls came from.

    Attributes:
        latitude: in whole degrees; None when nobody knows.
        longitude: as above.
        region: that its last call was placed in; empty for none.
        calls: how many this server has placed.
        round_trip_ms: that one of its calls measured last; None before.
        when: of the last call, in monotonic seconds.
    """

    latitude: int | None
    longitude: int | None
    region: str
    when: float
    calls: int = 0
    round_trip_ms: float | None = None


class RecentNetworks:
    """The networks that called last."""

    def __init__(self) -> None:
        self._networks: OrderedDict[str, RecentNetwork] = OrderedDict()

    def placed(self, location: CallerLocation, region: str, now: float) -> None:
        """A call was placed."""
        place = location.place
        known = self._networks.get(location.network)
        if known is None:
            latitude, longitude = (None, None) if place is None else (round(place.latitude), round(place.longitude))
            known = self._networks[location.network] = RecentNetwork(latitude, longitude, region, now)
            if len(self._networks) > _KEPT:
                self._networks.popitem(last=False)
        self._networks.move_to_end(location.network)
        known.region, known.when = region, now
        known.calls += 1

    def measured(self, network: str, milliseconds: float) -> None:
        """A call of a network has measured its round trip."""
        known = self._networks.get(network)
        if known is not None:
            known.round_trip_ms = milliseconds

    def since(self, now: float) -> Iterator[RecentNetwork]:
        """Go through the networks that called within the last half hour, the latest first."""
        for each in reversed(self._networks.values()):
            if now - each.when > _FORGOTTEN_SECONDS:
                return
            yield each
