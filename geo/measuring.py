"""What earlier calls of a caller's network have shown: how long its ways take, and which region served it last.

The prediction from the distance knows nothing of routes. Calls do: each tells the round trip of its path, and the next
caller from the same network is placed by it. Networks and regions are bounded, the network that was used longest ago
goes first; so a flood of strangers costs accuracy and no memory.

A caller can lie about its round trip (it answers late). That moves the calls of its own network only, to a region that
is allowed and can take them.
"""

from collections import OrderedDict
from collections.abc import Mapping

import attrs

from geo.round_trips import Measured

__all__ = ["CallerNetworks"]

_SMOOTHING = 0.2
"""Weight of a new measurement once there are several: some ten calls replace what was known."""

_HALF_LIFE = 6 * 3600.0
"""Seconds after which a measurement is believed half as much: routes change, and so do the hours of the day."""

_HABIT_SECONDS = 900.0
_LONGEST = 5_000.0
_MAX_REGIONS = 64


@attrs.define
class _Average:
    milliseconds: float
    count: int
    when: float

    def add(self, milliseconds: float, now: float) -> None:
        self.count += 1
        self.milliseconds += max(1 / self.count, _SMOOTHING) * (milliseconds - self.milliseconds)
        self.when = now

    def measured(self, now: float) -> Measured:
        # One measurement alone may have met a bad moment: it counts as much as the prediction.
        confidence = self.count / (self.count + 1) * 0.5 ** (max(0.0, now - self.when) / _HALF_LIFE)
        return Measured(milliseconds=self.milliseconds, confidence=confidence, calls=self.count)


@attrs.define
class _Network:
    averages: dict[str, _Average] = attrs.field(factory=dict)
    region: str = ""
    served_at: float = 0.0


class CallerNetworks:
    """The memory of one signal node. It may be lost at any moment: then the prediction stands alone again.

    Args:
        max_networks: how many networks are remembered; each takes about 1 KB with three regions.
    """

    def __init__(self, max_networks: int = 20_000) -> None:
        self._max = max_networks
        self._networks: OrderedDict[str, _Network] = OrderedDict()

    def __len__(self) -> int:
        """How many networks are remembered."""
        return len(self._networks)

    def observe(self, network: str, region: str, milliseconds: float, now: float) -> None:
        """Take the round trip that a call has measured.

        Args:
            network: the caller's, of `network_of`; nothing is remembered without.
            region: name of the region at the other end.
            milliseconds: what was measured; nonsense is ignored.
            now: monotonic time in seconds.
        """
        if not network or not region or not 0 < milliseconds <= _LONGEST:
            return
        averages = self._touch(network).averages
        known = averages.get(region)
        if known is not None:
            known.add(milliseconds, now)
            return
        if len(averages) >= _MAX_REGIONS:
            del averages[min(averages, key=lambda name: averages[name].when)]
        averages[region] = _Average(milliseconds, 1, now)

    def serve(self, network: str, region: str, now: float) -> None:
        """Remember which region a call from a network was placed in."""
        if network and region:
            entry = self._touch(network)
            entry.region, entry.served_at = region, now

    def measured(self, network: str, now: float) -> Mapping[str, Measured]:
        """Tell what is known of a network's round trips, by region."""
        entry = self._networks.get(network)
        return {} if entry is None else {name: each.measured(now) for name, each in entry.averages.items()}

    def usual_region(self, network: str, now: float) -> str:
        """Tell which region served a network lately; empty when none did."""
        entry = self._networks.get(network)
        return entry.region if entry is not None and now - entry.served_at <= _HABIT_SECONDS else ""

    def _touch(self, network: str) -> _Network:
        entry = self._networks.get(network)
        if entry is None:
            entry = self._networks[network] = _Network()
            if len(self._networks) > self._max:
                self._networks.popitem(last=False)
        else:
            self._networks.move_to_end(network)
        return entry
