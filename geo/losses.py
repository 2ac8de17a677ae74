"""Which regions lose their callers' packets, by what live calls have lost there.

Goal: a region whose own way to the world loses packets gets fewer calls. Callers with bad networks of their own,
however bad, change nothing; and nor does who lies.

Attacker: a caller, who may lose packets on purpose, leave out sequence numbers, and report any loss he likes, in as
many calls as he may have; who wants callers kept away from a region, or a bad region taken for good.

Construction:

* What calls have lost is filed by the caller's network (an IPv4 /24, an IPv6 /48), which signal has seen itself: a
  network speaks once, however many calls it has.
* A region is as bad as the lower median of the networks heard there within `_FRESH` seconds, and not rated at all by
  fewer than `_FEWEST` of them.
* What a network has lost in the best of the other regions it was served by lately is its own, and no region's fault:
  callers that lose everywhere, as on the mobile networks of a country, are sent away once at most.
* What is lost beyond `_MOST` counts for no more: it costs no more, and would take longer to be forgotten.
* The value is steadied (`geo.steadying`), and what it costs is bounded (`geo.scoring`).

Properties: whoever has less than half of the networks of a region's callers does not move its rating beyond what the
others say, in either direction. Who has more of them (a botnet) moves callers as far as the bound goes: to other
regions that are allowed and have room. No region is ever left out for it: it is taken when the others are full or far.
A flood of networks makes the oldest be forgotten, and takes no memory beyond the bound.
"""

from collections import OrderedDict
from collections.abc import Mapping

import attrs

from geo.health import Health, lower_median
from geo.steadying import Steady

__all__ = ["LOSS_PLAY", "RegionLosses"]

LOSS_PLAY = 0.01
"""Losses below this cost nothing, and by this a rating must have changed to count: what concealment makes inaudible."""

_MOST = 0.1
_FEWEST = 8
_FRESH = 120.0
"""Seconds for which a network's word on a region stands: eight looks at one of its calls (`transceiver.sampling`)."""

_ELSEWHERE = 3600.0
"""Seconds for which it is remembered what a network has lost in other regions."""

_SMOOTHING = 0.5
_HALF_LIFE = 20.0
_REVIEW_SECONDS = 5.0
_MAX_REGIONS = 16


@attrs.define
class _Loss:
    share: float
    when: float


class RegionLosses:
    """The memory of one signal node. It may be lost at any moment: then no region is worse than another again.

    Args:
        max_networks: how many networks are remembered; each takes about 0.5 KB.
    """

    def __init__(self, max_networks: int = 4096) -> None:
        self._max = max_networks
        self._networks: OrderedDict[str, dict[str, _Loss]] = OrderedDict()
        self._ratings: dict[str, Steady] = {}
        self._health: Mapping[str, Health] = {}
        self._reviewed = float("-inf")

    def __len__(self) -> int:
        """How many networks are remembered."""
        return len(self._networks)

    def observe(self, network: str, region: str, loss: float, now: float) -> None:
        """Take what a call has lost lately.

        Args:
            network: the caller's, of `network_of`; nothing is remembered without.
            region: name of the region by which the call comes in.
            loss: share of packets, in the worse direction; nonsense is ignored.
            now: monotonic time in seconds.
        """
        if not network or not region or not 0 <= loss <= 1:
            return
        regions = self._networks.get(network)
        if regions is None:
            regions = self._networks[network] = {}
            if len(self._networks) > self._max:
                self._networks.popitem(last=False)
        else:
            self._networks.move_to_end(network)
        loss = min(loss, _MOST)
        known = regions.get(region)
        if known is not None and now - known.when <= _FRESH:
            known.share += _SMOOTHING * (loss - known.share)
            known.when = now
            return
        if known is None and len(regions) >= _MAX_REGIONS:
            del regions[min(regions, key=lambda name: regions[name].when)]
        regions[region] = _Loss(loss, now)

    def health(self, now: float) -> Mapping[str, Health]:
        """Tell which regions are not well, by name; looked into every few seconds."""
        if now - self._reviewed >= _REVIEW_SECONDS:
            self._reviewed = now
            self._health = self._review(now)
        return self._health

    def _review(self, now: float) -> Mapping[str, Health]:
        heard: dict[str, list[float]] = {}
        for regions in self._networks.values():
            for name, loss in regions.items():
                if now - loss.when <= _FRESH:
                    heard.setdefault(name, []).append(_beyond_its_own(regions, name, now))
        found = {}
        for name in heard.keys() | self._ratings.keys():
            losses = heard.get(name, ())
            is_rated = len(losses) >= _FEWEST
            if name not in self._ratings:
                if not is_rated:
                    continue
                self._ratings[name] = Steady(LOSS_PLAY, _HALF_LIFE)
            value = self._ratings[name].follow(lower_median(losses) if is_rated else None, now)
            if value:
                callers = f"callers of {len(losses)} networks" if is_rated else "its callers, when there were enough,"
                found[name] = Health(loss=value, why=f"{callers} lose {value:.1%} in the region")
            elif not is_rated:
                del self._ratings[name]
        return found


def _beyond_its_own(regions: Mapping[str, _Loss], name: str, now: float) -> float:
    """Tell what a network has lost in a region beyond what it loses anyway."""
    here = regions[name].share
    if len(regions) == 1:
        return here
    others = (loss.share for other, loss in regions.items() if other != name and now - loss.when <= _ELSEWHERE)
    return max(0.0, here - min(others, default=0.0))
