"""A timer wheel: what has to be looked at later, gathered by the tick in which that will be.

An item costs one place in a list, whatever its deadline, where an entry of a heap costs a tuple, a float and a number
to tell equals apart. Nothing is ever taken out early: who has put an item in looks, when it comes up, at whether
something is due, and puts it in again if not yet.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["TimerWheel"]

_Item = TypeVar("_Item")


class TimerWheel(Generic[_Item]):
    """Items by tick; ticks are numbers of whatever length their owner chooses."""

    def __init__(self) -> None:
        self._by_tick: dict[int, list[_Item]] = {}
        self._first: int | None = None

    def add(self, item: _Item, tick: int) -> None:
        """Have an item looked at in `tick`."""
        items = self._by_tick.get(tick)
        if items is not None:
            items.append(item)
            return
        self._by_tick[tick] = [item]
        if self._first is None or tick < self._first:
            self._first = tick

    def take(self, tick: int) -> Iterator[_Item]:
        """Take what has come up until `tick`, that tick included; what is added meanwhile is taken too if it is due."""
        while self._first is not None and self._first <= tick:
            items = self._by_tick.pop(self._first)
            self._first = min(self._by_tick, default=None)
            yield from items

    def next_tick(self) -> int | None:
        """When something comes up next; None while there is nothing."""
        return self._first

    def __iter__(self) -> Iterator[_Item]:
        """Everything, in the order of ticks."""
        for tick in sorted(self._by_tick):
            yield from self._by_tick[tick]
