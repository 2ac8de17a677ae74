"""Whom to ask for a call, one after the other, until one takes it: the client sends one POST whatever happens behind.

A transceiver that cannot be reached is most likely not the only one there: what failed it may have failed its region.
So the others of the region come last then. Patience is short as long as there is another to ask. A transceiver that was
too slow may have made the call all the same, and gives it up when nobody connects.

Each gets so many calls at a time. When all of them have as many, a call waits for the first that has room again, no
longer than it may wait for its turn. How many wait is bounded by the pace (`edge.signal.admission`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import trio

from edge.control.client import TransceiverUnreachable
from edge.signal.fleet import Member

__all__ = ["Attempts"]

_MAX_TRIES = 3
_PATIENCE = 2.0
"""Seconds; a call is usually made within a hundredth of that. The last one has what `ControlClient` allows."""

_LOOK_INTERVAL = 0.25
"""Seconds after which who waits looks again: the room that was made may have been of no use to who was woken for it."""


class Attempts:
    """The transceivers that a call is tried on.

    Args:
        members: those that suit it, the preferred one first.
        max_under_way: calls that may be being placed on one of them at a time.
        room: where all calls wait for one that has fewer.
        until: when this one has waited long enough, by Trio's clock.

    Attributes:
        is_held_back: whether one was not asked because it had as many up to then.
    """

    def __init__(
        self, members: Sequence[Member], max_under_way: int, room: trio.lowlevel.ParkingLot, until: float
    ) -> None:
        self.is_held_back = False
        self._left = list(members)
        self._max_under_way = max_under_way
        self._room = room
        self._until = until
        self._tries = 0

    async def next(self) -> Member | None:
        """Return whom to ask now, as soon as there is somebody; None when it is enough."""
        member = None
        if self._tries < _MAX_TRIES:
            with trio.move_on_at(self._until):
                while (member := self._first_with_room()) is None and self._left:
                    with trio.move_on_after(_LOOK_INTERVAL):
                        await self._room.park()
        if member is None:
            self.is_held_back = bool(self._left)
        else:
            self._left.remove(member)
            self._tries += 1
        return member

    def _first_with_room(self) -> Member | None:
        return next((member for member in self._left if member.under_way < self._max_under_way), None)

    @contextmanager
    def trying(self, member: Member) -> Iterator[None]:
        """Ask within the block.

        Raises:
            TransceiverUnreachable: the block took too long, and there is another to ask.
        """
        has_another = self._first_with_room() is not None and self._tries < _MAX_TRIES
        member.under_way += 1
        try:
            with trio.fail_after(_PATIENCE) if has_another else trio.CancelScope():
                yield
        except trio.TooSlowError as error:
            raise TransceiverUnreachable(f"{member.client.url}: no answer within {_PATIENCE:g} seconds") from error
        finally:
            member.under_way -= 1
            self._room.unpark()

    def avoid_region_of(self, member: Member) -> None:
        """Ask the others of its region last."""
        if member.region is not None:
            self._left.sort(key=lambda other: other.region == member.region)
