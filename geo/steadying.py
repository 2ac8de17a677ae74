"""A measurement, made steady enough to place calls by.

Goal: nobody flaps. What a moment's accident measures moves no call, and nor does noise: a measurement is smoothed, and
let through only when it has moved by more than a play. It is no slower than that takes, and no slower to forgive than
to blame: calls that leave a region may change what is measured there, and the longer nobody hears of it, the further a
fleet swings to and fro (`bench.fleet_simulation` with a region that loses packets by how full it is).

What nobody measures any more is forgotten slowly. That brings callers back a few at a time, those first to whom the
next region is furthest: they measure anew, and if it is as bad as ever, the others never come.
"""

__all__ = ["Steady"]

_FORGOTTEN = 300.0
"""Seconds within which half of what nobody measures any more is forgotten."""

_LONGEST_LOOK = 10.0
"""Seconds: who looks seldom believes a rise no sooner than after several looks."""


class Steady:
    """One value over time, not below 0; it begins at 0.

    Args:
        play: by how much it must have moved to count; half of it counts as none.
        half_life: seconds within which half of a change is believed.

    Attributes:
        value: what to go by.
    """

    def __init__(self, play: float, half_life: float) -> None:
        self.value = 0.0
        self._play = play
        self._half_life = half_life
        self._average = 0.0
        self._looked: float | None = None

    def follow(self, measured: float | None, now: float) -> float:
        """Take what is measured now, which counts from the second time on; returns the value.

        Args:
            measured: not below 0; None when nobody can tell.
            now: monotonic time in seconds.
        """
        elapsed = 0.0 if self._looked is None else max(0.0, now - self._looked)
        self._looked = now
        if measured is None:
            self._approach(0.0, elapsed / _FORGOTTEN)
        elif measured > self._average:
            self._approach(measured, min(elapsed, _LONGEST_LOOK) / self._half_life)
        else:
            self._approach(measured, elapsed / self._half_life)
        if self._average < self._play / 2:
            self.value = 0.0
        elif abs(self._average - self.value) >= self._play:
            self.value = self._average
        return self.value

    def _approach(self, target: float, half_lives: float) -> None:
        self._average += (1 - 0.5**half_lives) * (target - self._average)
