"""What calls show of the ways to their clients, for whoever places the next ones.

A transceiver tells with its status the latest round trips and losses, each with a number that grows, so that any number
of signal nodes can ask as often as they like and take each once. A node that asks seldom misses some, which does no
harm.
"""

from collections import deque
from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

import attrs

__all__ = ["LATEST", "LossSample", "RoundTripSample", "SamplesOfAll"]

LATEST = 64
"""How many are told."""


@attrs.frozen
class RoundTripSample:
    """A round trip that a call has measured.

    Attributes:
        number: counts up within one process.
        network: the caller's, as signal wrote it.
        ingress: number of the ingress that the client uses.
        milliseconds: between the client and this transceiver, by RTCP, or by STUN before there was any.
    """

    number: int
    network: str
    ingress: int
    milliseconds: float

    def to_list(self) -> list[object]:
        """Write it in JSON types."""
        return [self.number, self.network, self.ingress, self.milliseconds]


@attrs.frozen
class LossSample:
    """What a call has lost lately.

    Attributes:
        number: counts up within one process.
        network: the caller's, as signal wrote it.
        ingress: number of the ingress that the client uses.
        share: of the packets between the client and this transceiver, in the worse direction, 0 to 1.
    """

    number: int
    network: str
    ingress: int
    share: float

    def to_list(self) -> list[object]:
        """Write it in JSON types."""
        return [self.number, self.network, self.ingress, self.share]


Sample = TypeVar("Sample", RoundTripSample, LossSample)


class SamplesOfAll(Generic[Sample]):
    """The latest samples of several processes, numbered as if they were one."""

    def __init__(self) -> None:
        self._latest: deque[Sample] = deque(maxlen=LATEST)
        self._count = 0
        self._seen: dict[object, int] = {}

    def add(self, whose: object, samples: Sequence[Sample]) -> None:
        """Take what is new in what a process said last."""
        seen = self._seen.get(whose, 0)
        for sample in samples:
            if sample.number > seen:
                self._count += 1
                self._latest.append(attrs.evolve(sample, number=self._count))
                self._seen[whose] = sample.number

    def keep_only(self, processes: Collection[object]) -> None:
        """Forget how far processes were heard that are gone."""
        self._seen = {each: number for each, number in self._seen.items() if each in processes}

    def latest(self) -> Sequence[Sample]:
        """Return the latest samples, the oldest first."""
        return tuple(self._latest)
