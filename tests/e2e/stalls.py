"""When the client itself stood still: a machine that runs many tests at a time may stop any process for a second.

A client that runs sends audio every 20 ms, whatever becomes of the edge. What it did not send in is not the edge's
silence: nobody would have heard anything.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import attrs

__all__ = ["OwnClock", "Silence", "silences"]

_PATIENCE = 0.1
"""Seconds; Chromium, too, is that late now and then."""


@attrs.define
class OwnClock:
    """A clock that stands still when a client does, by its departures, which are told in their order.

    Attributes:
        last: when it has sent last, by the clock that goes on.
        behind: seconds that this one was behind then.
    """

    last: float
    behind: float = 0.0

    def sent(self, at: float) -> None:
        """It has sent something."""
        self.behind = at - self.read(at)
        self.last = at

    def read(self, at: float) -> float:
        """What it shows at a time that is not before the last departure."""
        return at - self.behind - max(0.0, at - self.last - _PATIENCE)


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
    clock = OwnClock(arrived[0] if arrived else 0.0)
    shown = []
    leaving = iter(sorted(departures))
    leaves = next(leaving, None)
    for at in arrived:
        while leaves is not None and leaves <= at:
            if leaves > clock.last:
                clock.sent(leaves)
            leaves = next(leaving, None)
        shown.append(clock.read(at))
    return [
        Silence(begin, end, later - earlier)
        for (begin, earlier), (end, later) in itertools.pairwise(zip(arrived, shown, strict=True))
    ]
