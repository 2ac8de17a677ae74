"""Signal nodes: each knows what transceivers said within the last second, and what it has placed itself since."""

from collections import Counter
from collections.abc import Callable, Sequence

from bench.fleet_simulation.fleet import Fleet, Transceiver
from bench.fleet_simulation.world import Caller
from geo.choice import Viewpoint, choose_ingresses, choose_transceiver
from geo.losses import RegionLosses
from geo.measuring import CallerNetworks
from geo.regions import Ingress
from geo.residency import ResidencyRule, residency_of
from geo.scoring import DEFAULT_WEIGHTS, Weights

__all__ = ["RULES", "SignalNode"]

RULES = (ResidencyRule(regions=frozenset({"eu-central", "eu-west"}), countries=frozenset({"DE"})),)

_TRIES = 3
_INGRESSES = 2


class SignalNode:
    """Places calls as `edge.signal` does.

    Args:
        fleet: what is really there.
        weights: of the score.
        learns: whether measured round trips are used.
    """

    def __init__(self, fleet: Fleet, weights: Weights = DEFAULT_WEIGHTS, *, learns: bool = True) -> None:
        self.networks = CallerNetworks(max_networks=20_000)
        self.losses = RegionLosses()
        self._fleet = fleet
        self._weights = weights
        self._learns = learns
        self._told: dict[str, tuple[int, bool]] = {}
        self._placed: Counter[str] = Counter()
        self.poll()

    def poll(self) -> None:
        """Ask every transceiver how it is."""
        self._told = {each.name: (each.calls, each.is_alive) for each in self._fleet.transceivers}
        self._placed.clear()

    def observe(self, caller: Caller, region: str, milliseconds: float, now: float) -> None:
        """Take a measured round trip."""
        if self._learns:
            self.networks.observe(caller.network, region, milliseconds, now)

    def place(
        self, caller: Caller, now: float, take: Callable[[Transceiver], bool]
    ) -> tuple[Transceiver | None, Sequence[Ingress]]:
        """Place a call; None when nobody took it.

        Args:
            caller: whose it is.
            now: in seconds.
            take: asks a transceiver.
        """
        viewpoint = Viewpoint(
            place=caller.place,
            residency=residency_of(RULES, country=caller.country),
            measured=self.networks.measured(caller.network, now),
            usual_region=self.networks.usual_region(caller.network, now),
            region_health=self.losses.health(now),
        )
        known = {each.name: each for each in self._fleet.transceivers}
        candidates = [
            each.candidate(self._told[name][0] + self._placed[name], now)
            for name, each in known.items()
            if self._told[name][1]  # who did not answer the last question is not asked for calls
        ]
        transceivers = choose_transceiver(viewpoint, candidates, self._weights)
        onward_to = transceivers.items[0].region if transceivers.items else None
        ingresses = choose_ingresses(
            viewpoint, self._fleet.ingresses, _INGRESSES, onward_to=onward_to, weights=self._weights
        )
        for candidate in transceivers.items[:_TRIES]:
            transceiver = known[candidate.name]
            if take(transceiver):
                self._placed[transceiver.name] += 1
                self.networks.serve(caller.network, transceiver.region.name, now)
                return transceiver, ingresses.items
        return None, ingresses.items
