"""Choosing relay addresses and transceivers for a caller.

Both return everything that could be used, best first: an answer offers the first few relay addresses, and signal
asks the next transceiver when the best one refuses.

First comes what no distance outweighs, the `Standing`; among equals in that the score decides. Every candidate gets a
sentence, and one that is nearer to the caller than what was chosen is told what it lost by.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from geo.candidates import TransceiverCandidate
from geo.health import WELL, Health, worse_of
from geo.ranking import Choice, Ranked, order
from geo.regions import Ingress, Place, Region
from geo.residency import NO_RESIDENCY, Residency
from geo.round_trips import Measured, RoundTrip, round_trip_between, round_trip_of
from geo.scoring import DEFAULT_WEIGHTS, Score, Weights, score
from geo.standing import Standing, ingress_standing, takes_calls, transceiver_standing

__all__ = [
    "NOWHERE",
    "Choice",
    "Ranked",
    "Standing",
    "TransceiverCandidate",
    "Viewpoint",
    "choose_ingresses",
    "choose_transceiver",
]


@attrs.frozen(kw_only=True)
class Viewpoint:
    """The fleet as one caller sees it.

    Attributes:
        place: where the caller is; None when nobody knows.
        residency: where the call may be at all.
        measured: what earlier calls of its network have shown, by name of the region.
        usual_region: name of the region that served its network lately; empty when none did.
        region_health: what was measured of the regions that are not well, by name.
    """

    place: Place | None = None
    residency: Residency = NO_RESIDENCY
    measured: Mapping[str, Measured] = attrs.field(factory=dict)
    usual_region: str = ""
    region_health: Mapping[str, Health] = attrs.field(factory=dict)

    def way_to(self, region: Region | None) -> RoundTrip:
        """Guess the round trip to a region."""
        if region is None:
            return round_trip_of(self.place, None)
        return round_trip_of(self.place, region.place, self.measured.get(region.name))

    def health_of(self, own: Health, region: Region | None) -> Health:
        """Tell how well a member does with the health of its own, in a region."""
        return own if region is None else worse_of(own, self.region_health.get(region.name, WELL))

    def is_change(self, region: Region | None) -> bool:
        """Whether it is another region than the usual one."""
        return bool(self.usual_region) and region is not None and region.name != self.usual_region


NOWHERE = Viewpoint()
"""That of a caller of whom nothing is known."""


def choose_transceiver(
    viewpoint: Viewpoint, candidates: Iterable[TransceiverCandidate], weights: Weights = DEFAULT_WEIGHTS
) -> Choice[TransceiverCandidate]:
    """Order the transceivers that take calls, best first.

    Args:
        viewpoint: what is known of the caller.
        candidates: those to choose from. Among equals the earlier one wins.
        weights: how much each term counts.
    """
    candidates = tuple(candidates)
    ways = _Ways(viewpoint)
    loads = _RegionLoads(candidates)
    ranked = []
    for candidate in candidates:
        region = candidate.region
        load = max(candidate.load, loads.of(region))
        standing, why = transceiver_standing(candidate, load, viewpoint.residency)
        given = score(
            ways.to(region),
            health=viewpoint.health_of(candidate.health, region),
            load=load,
            up_seconds=candidate.up_seconds,
            is_change=viewpoint.is_change(region),
            weights=weights,
        )
        ranked.append(Ranked(candidate, candidate.name, region, standing, why, given))
    ranked.sort(key=order)  # sorting is stable: equals keep their order
    # A region that drains has transceivers that take calls: they are the last resort, those that do not take any none.
    items = tuple(each.item for each in ranked if each.standing is not Standing.FORBIDDEN and takes_calls(each.item))
    chosen = set(map(id, items))
    ranked.sort(key=lambda each: id(each.item) not in chosen)
    return Choice(items=items, ranked=tuple(ranked))


def choose_ingresses(
    viewpoint: Viewpoint,
    ingresses: Iterable[Ingress],
    count: int,
    *,
    onward_to: Region | None = None,
    weights: Weights = DEFAULT_WEIGHTS,
) -> Choice[Ingress]:
    """Choose the relay addresses that an answer offers, of different relays as far as there are.

    All are of the best standing that there is: what drains, is full or not healthy is offered only when nothing else
    is, as a client may prefer it for its round trip.

    Args:
        viewpoint: what is known of the caller.
        ingresses: those to choose from. Among equals the earlier one wins: with no place, that is their order.
        count: how many to choose at most; the others are named in the reasons.
        onward_to: region of the transceiver that the call goes on to; None when nobody knows.
        weights: how much each term counts.
    """
    ways = _Ways(viewpoint)
    onward = _Onward(onward_to)
    waiting: list[Ranked[Ingress]] = []

    def scored(ingress: Ingress, *, shares_machine: bool) -> Score:
        return score(
            ways.to(ingress.region),
            health=viewpoint.health_of(ingress.health, ingress.region),
            load=ingress.load,
            up_seconds=ingress.up_seconds,
            onward=onward.from_(ingress.region),
            is_change=viewpoint.is_change(ingress.region),
            shares_machine=shares_machine,
            weights=weights,
        )

    for ingress in ingresses:
        standing, why = ingress_standing(ingress, viewpoint.residency)
        given = scored(ingress, shares_machine=False)
        waiting.append(Ranked(ingress, f"ingress {ingress.id}", ingress.region, standing, why, given))
    chosen: list[Ranked[Ingress]] = []
    relays: set[str] = set()
    machines: set[str] = set()
    best_standing = min((each.standing for each in waiting), default=Standing.FORBIDDEN)
    while len(chosen) < count and best_standing is not Standing.FORBIDDEN:
        usable = [each for each in waiting if each.standing is best_standing]
        if not usable:
            break
        best = min(usable, key=lambda each: (each.item.relay_name in relays, *order(each)))
        if best.item.relay_name in relays:
            best = attrs.evolve(best, why=best.why or "a relay that is in the answer already, for want of another")
        waiting = [each for each in waiting if each.item is not best.item]
        chosen.append(best)
        relays.add(best.item.relay_name)
        if best.item.machine_name not in machines:
            machines.add(best.item.machine_name)
            waiting = [
                attrs.evolve(each, score=scored(each.item, shares_machine=True))
                if each.item.machine_name == best.item.machine_name
                else each
                for each in waiting
            ]
    waiting.sort(key=order)
    left_out = [
        attrs.evolve(each, why="of a relay that is in the answer already")
        if not each.why and each.item.relay_name in relays
        else each
        for each in waiting
    ]
    return Choice(items=tuple(each.item for each in chosen), ranked=(*chosen, *left_out))


class _Ways:
    """The round trips from one caller, each region's once."""

    def __init__(self, viewpoint: Viewpoint) -> None:
        self._viewpoint = viewpoint
        self._known: dict[str | None, RoundTrip] = {}

    def to(self, region: Region | None) -> RoundTrip:
        name = None if region is None else region.name
        way = self._known.get(name)
        if way is None:
            way = self._known[name] = self._viewpoint.way_to(region)
        return way


class _Onward:
    """The round trips from regions to that of a transceiver, each region's once."""

    def __init__(self, to: Region | None) -> None:
        self._to = to
        self._known: dict[str, float] = {} if to is None else {to.name: 0.0}

    def from_(self, region: Region | None) -> float:
        if region is None or self._to is None:
            return 0.0
        known = self._known.get(region.name)
        if known is None:
            known = self._known[region.name] = round_trip_between(region.place, self._to.place)
        return known


class _RegionLoads:
    """How full the regions are whose capacity was configured."""

    def __init__(self, candidates: Sequence[TransceiverCandidate]) -> None:
        self._calls: dict[str, int] = {}
        for each in candidates:
            if each.region is not None and each.region.capacity:
                self._calls[each.region.name] = self._calls.get(each.region.name, 0) + each.calls

    def of(self, region: Region | None) -> float:
        return 0.0 if region is None or not region.capacity else self._calls[region.name] / region.capacity
