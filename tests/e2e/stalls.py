"""When the client itself stood still: a machine that runs many tests at a time may stop any process for a second.

A client that runs sends audio every 20 ms, whatever becomes of the edge. What it did not send in is not the edge's
silence: nobody would have heard anything.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import attrs

__all__ = ["Silence", "Stalls", "silences"]

_PATIENCE = 0.1
"""Seconds; Chromium, too, is that late now and then."""


@attrs.define
class Stalls:
    """Adds up, from a client's departures in their order.

    Attributes:
        last: when it has sent last.
        before: seconds that it stood still up to then.
    """

    last: float
    before: float = 0.0

    def sent(self, at: float) -> None:
        """It has sent something."""
        self.before = self.until(at)
        self.last = at

    def until(self, at: float) -> float:
        """Seconds that it stood still up to a time, not before what it has sent last."""
        return self.before + max(0.0, at - self.last - _PATIENCE)


class Silence(NamedTuple):
    """A time without audio.

    Attributes:
        begin: the last that came.
        end: the next.
        seconds: between them, without those that the client stood still in.
    """

    begin: float
    end: float
    seconds: float


def silences(arrivals: Iterable[float], departures: Iterable[float]) -> list[Silence]:
    """All times between two arrivals, each in order; departures are of the same client."""
    arrived = sorted(arrivals)
    stalls = Stalls(arrived[0] if arrived else 0.0)
    stood = []
    leaving = iter(sorted(departures))
    leaves = next(leaving, None)
    for at in arrived:
        while leaves is not None and leaves <= at:
            if leaves > stalls.last:
                stalls.sent(leaves)
            leaves = next(leaving, None)
        stood.append(stalls.until(at))
    return [
        Silence(begin, end, end - begin - (later - earlier))
        for (begin, earlier), (end, later) in itertools.pairwise(zip(arrived, stood, strict=True))
    ]
