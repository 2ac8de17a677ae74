"""Transceivers and relays over time: calls begin and end, a region dies and returns."""

import heapq
import itertools
from collections.abc import Iterable

import attrs

from geo.choice import TransceiverCandidate
from geo.regions import Ingress, Region

__all__ = ["Ailment", "Fleet", "Transceiver"]

_TRANSCEIVERS = 2
_RELAYS = 2


@attrs.define(eq=False)
class Transceiver:
    """A transceiver as it is, which signal hears of late.

    Attributes:
        name: of its control address.
        region: where it is.
        capacity: calls that it takes.
        calls: calls that it has.
        is_alive: whether it answers.
        returned_at: when it came back; None when it never was away.
    """

    name: str
    region: Region
    capacity: int
    calls: int = 0
    is_alive: bool = True
    returned_at: float | None = None

    def candidate(self, calls: int, now: float) -> TransceiverCandidate:
        """Describe it as signal would that believes it to have so many calls."""
        return TransceiverCandidate(
            name=self.name,
            region=self.region,
            load=calls / self.capacity,
            calls=calls,
            is_ready=self.is_alive,
            reason="" if self.is_alive else "cannot be reached",
            up_seconds=None if self.returned_at is None else now - self.returned_at,
        )


@attrs.frozen(kw_only=True)
class Ailment:
    """What is wrong with a region for a while.

    Attributes:
        region: which.
        begins: when, as a share of the run.
        ends: likewise.
        loss: share of its callers' packets that it loses.
        load: how full it has to be to lose any; from there the loss grows, to `loss` when it is full. 0: it always
            loses all of it.
    """

    region: str
    begins: float = 0.3
    ends: float = 0.6
    loss: float = 0.05
    load: float = 0.0

    def loss_at(self, share_of_run: float, load: float) -> float:
        """Tell what is lost at a time."""
        if not self.begins <= share_of_run < self.ends:
            return 0.0
        return self.loss * min(1.0, max(0.0, load - self.load) / (1 - self.load)) if self.load else self.loss


class Fleet:
    """All members.

    Args:
        regions: where they are.
        capacities: calls that each region takes, in the order of `regions`.
    """

    def __init__(self, regions: Iterable[Region], capacities: Iterable[int]) -> None:
        self.regions = tuple(regions)
        self.transceivers = [
            Transceiver(f"{region.name}-{number}", region, max(1, capacity // _TRANSCEIVERS))
            for region, capacity in zip(self.regions, capacities, strict=True)
            for number in range(_TRANSCEIVERS)
        ]
        self.ingresses = [
            Ingress(id=number, host=f"192.0.2.{number}", port=3478, region=region, machine=f"{region.name}-{relay}")
            for number, (region, relay) in enumerate(itertools.product(self.regions, range(_RELAYS)), 1)
        ]
        self._ends: list[tuple[float, int, Transceiver, int]] = []
        self._numbers = itertools.count()
        self._lives: dict[str, int] = {}  # how often a region has died; calls of an earlier life are gone

    def take(self, transceiver: Transceiver, until: float) -> bool:
        """Give a transceiver a call; whether it took it."""
        if not transceiver.is_alive or transceiver.calls >= transceiver.capacity:
            return False
        transceiver.calls += 1
        life = self._lives.get(transceiver.region.name, 0)
        heapq.heappush(self._ends, (until, next(self._numbers), transceiver, life))
        return True

    def end_calls(self, now: float) -> None:
        """End the calls whose time is over."""
        while self._ends and self._ends[0][0] <= now:
            _, _, transceiver, life = heapq.heappop(self._ends)
            if life == self._lives.get(transceiver.region.name, 0):
                transceiver.calls -= 1

    def kill(self, name: str) -> int:
        """Let a region die; returns how many calls ended with it."""
        self._lives[name] = self._lives.get(name, 0) + 1
        lost = 0
        for each in self.transceivers:
            if each.region.name == name:
                lost += each.calls
                each.calls, each.is_alive = 0, False
        self._set_health(name, is_healthy=False)
        return lost

    def revive(self, name: str, now: float) -> None:
        """Let a region come back, empty."""
        for each in self.transceivers:
            if each.region.name == name:
                each.is_alive, each.returned_at = True, now
        self._set_health(name, is_healthy=True)

    def loads(self) -> dict[str, float]:
        """Tell how full each region is, by name."""
        calls = dict.fromkeys((region.name for region in self.regions), 0)
        capacity = dict(calls)
        for each in self.transceivers:
            calls[each.region.name] += each.calls
            capacity[each.region.name] += each.capacity
        return {name: calls[name] / capacity[name] for name in calls}

    def _set_health(self, name: str, *, is_healthy: bool) -> None:
        self.ingresses = [
            attrs.evolve(each, is_healthy=is_healthy) if each.region is not None and each.region.name == name else each
            for each in self.ingresses
        ]
