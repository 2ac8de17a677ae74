"""A run: callers come second by second; the busiest region dies and returns, or one loses packets for a while."""

import math
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import attrs

from bench.fleet_simulation.fleet import Ailment, Fleet, Transceiver
from bench.fleet_simulation.results import Placed, Results
from bench.fleet_simulation.signal import SignalNode
from bench.fleet_simulation.world import REGIONS, Caller, World
from geo.scoring import DEFAULT_WEIGHTS, Weights

__all__ = ["Settings", "simulate"]

_DIES, _RETURNS = 0.4, 0.6
_NODES = 3
_ROOM = 1.6
_TIGHT = {"ap-south": 0.8, "eu-west": 0.9}
"""Regions that were built too small: share of what their own callers need."""

_RECALL_SECONDS = 5.0
_NOTE_SECONDS = 10.0
_MEASURED_AFTER = 10.0
_LOOK_SECONDS = 30
"""How often a call tells what it has lost; more often in life, and then of fewer packets."""

_PACKETS = 1500
_LIE = 0.5


@attrs.frozen(kw_only=True)
class Settings:
    """What a run is like.

    Attributes:
        callers: how many call by themselves; those whose calls end with the region call again.
        seconds: within which they call.
        mean_call: how long calls last, in seconds.
        seed: of everything that is drawn.
        weights: of the score.
        learns: whether measured round trips are used.
        victim: the region that dies; empty for none.
        ailment: what is wrong with a region for a while; None for nothing.
        liars: share of the networks whose calls say that they have lost half of everything.
    """

    callers: int = 100_000
    seconds: int = 5000
    mean_call: float = 240.0
    seed: int = 1
    weights: Weights = DEFAULT_WEIGHTS
    learns: bool = True
    victim: str = "us-east"
    ailment: Ailment | None = None
    liars: float = 0.0


class _Run:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.random = random.Random(settings.seed + 1)
        self.world = World(settings.seed)
        self.callers = self.world.draw(settings.callers)
        self.fleet = Fleet(REGIONS, _capacities(self.callers, settings))
        self.nodes = [SignalNode(self.fleet, settings.weights, learns=settings.learns) for _ in range(_NODES)]
        died, returned = (float(round(settings.seconds * share)) for share in (_DIES, _RETURNS))
        self.results = Results(settings.victim, died, returned, loads={region.name: [] for region in REGIONS})
        self.live: dict[str, deque[tuple[float, Caller]]] = {region.name: deque() for region in REGIONS}
        self.measuring: deque[tuple[float, Caller, str]] = deque()
        self.listening: defaultdict[int, list[tuple[float, Caller, str]]] = defaultdict(list)

    def place(self, caller: Caller, now: float, until: float) -> None:
        def take(transceiver: Transceiver) -> bool:
            return self.fleet.take(transceiver, until)

        node = self.random.choice(self.nodes)
        began = time.process_time()
        transceiver, ingresses = node.place(caller, now, take)
        self.results.seconds += time.process_time() - began
        self.results.choices += 1
        if transceiver is None:
            self.results.refused.append(now)
            return
        region = transceiver.region.name
        relays = tuple(each.region.name for each in ingresses if each.region is not None)
        real, ideal = caller.real[region], caller.ideal
        self.results.placed.append(Placed(now, caller.network, caller.country, region, relays, real, ideal))
        self.live[region].append((until, caller))
        self.measuring.append((now + _MEASURED_AFTER, caller, region))
        self.listening[int(now) + _LOOK_SECONDS].append((until, caller, region))

    def learn(self, now: float) -> None:
        while self.measuring and self.measuring[0][0] <= now:
            _, caller, region = self.measuring.popleft()
            milliseconds = self.world.measure(caller, region)
            for node in self.nodes:  # each hears of it from the transceiver's status
                node.observe(caller, region, milliseconds, now)

    def listen(self, second: int) -> None:
        """Let the calls whose turn it is tell what they have lost since the last time."""
        ailment = self.settings.ailment
        lost = 0.0
        if ailment is not None:
            lost = ailment.loss_at(second / self.settings.seconds, self.fleet.loads()[ailment.region])
        for until, caller, region in self.listening.pop(second, ()):
            if until <= second:
                continue
            self.listening[second + _LOOK_SECONDS].append((until, caller, region))
            is_lie = caller.luck < self.settings.liars
            share = lost if ailment is not None and region == ailment.region else 0.0
            loss = _LIE if is_lie else self.world.lose(caller, share, _PACKETS)
            for node in self.nodes:
                node.losses.observe(caller.network, region, loss, float(second))

    def note(self, now: float) -> None:
        self.results.times.append(now)
        for name, load in self.fleet.loads().items():
            self.results.loads[name].append(load)


def simulate(settings: Settings, until: float = math.inf) -> Results:
    """Run it; the same settings give the same results.

    Args:
        settings: what it is like.
        until: when to stop, in seconds since the beginning, for who only looks at what was until then.
    """
    run = _Run(settings)
    arrivals = sorted((run.random.uniform(0, settings.seconds), number) for number in range(settings.callers))
    again: deque[tuple[float, Caller]] = deque()
    position = 0
    for second in range(int(min(settings.seconds, until))):
        now = float(second)
        run.fleet.end_calls(now)
        run.learn(now)
        run.listen(second)
        if settings.victim and now == run.results.died:
            run.results.lost = run.fleet.kill(settings.victim)
            callers = [caller for until, caller in run.live[settings.victim] if until > now]
            moments = sorted(now + run.random.uniform(0, _RECALL_SECONDS) for _ in callers)
            again.extend(zip(moments, callers, strict=True))
        if settings.victim and now == run.results.returned:
            run.fleet.revive(settings.victim, now)
        # The nodes ask at different moments of a second, and not at the moment of the death.
        for number, node in enumerate(run.nodes):
            if now != run.results.died or number:
                node.poll()
        while again and again[0][0] <= now + 1:
            when, caller = again.popleft()
            run.place(caller, when, when + run.random.expovariate(1 / settings.mean_call))
        while position < len(arrivals) and arrivals[position][0] < now + 1:
            when, number = arrivals[position]
            position += 1
            run.place(run.callers[number], when, when + run.random.expovariate(1 / settings.mean_call))
        if second % int(_NOTE_SECONDS) == 0:
            run.note(now)
    return run.results


def _capacities(callers: Sequence[Caller], settings: Settings) -> list[int]:
    """Build each region for what its own callers need at a time, and some room; some were built too small."""
    nearest = Counter(min(caller.real, key=lambda name: caller.real[name]) for caller in callers)
    at_a_time = settings.mean_call / settings.seconds
    return [max(10, int(nearest[region.name] * at_a_time * _TIGHT.get(region.name, _ROOM))) for region in REGIONS]
