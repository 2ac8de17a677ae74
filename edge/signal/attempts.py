"""Whom to ask for a call, one after the other, until one takes it: the client sends one POST whatever happens behind.

A transceiver that cannot be reached is most likely not the only one there: what failed it may have failed its region.
So the others of the region come last then. Patience is short as long as there is another to ask. A transceiver that was
too slow may have made the call all the same, and gives it up when nobody connects.
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


class Attempts:
    """The transceivers that a call is tried on.

    Args:
        members: those that suit it, the preferred one first.
        max_under_way: calls that may be being placed on one of them at a time.

    Attributes:
        is_held_back: whether one was passed over because it has as many.
    """

    def __init__(self, members: Sequence[Member], max_under_way: int) -> None:
        self.is_held_back = False
        self._left = list(members)
        self._max_under_way = max_under_way
        self._tries = 0

    def next(self) -> Member | None:
        """Return whom to ask now; None when it is enough."""
        while self._left and self._tries < _MAX_TRIES:
            member = self._left.pop(0)
            if member.under_way < self._max_under_way:
                self._tries += 1
                return member
            self.is_held_back = True
        return None

    @contextmanager
    def trying(self, member: Member) -> Iterator[None]:
        """Ask within the block.

        Raises:
            TransceiverUnreachable: the block took too long, and there is another to ask.
        """
        has_another = bool(self._left) and self._tries < _MAX_TRIES
        member.under_way += 1
        try:
            with trio.fail_after(_PATIENCE) if has_another else trio.CancelScope():
                yield
        except trio.TooSlowError as error:
            raise TransceiverUnreachable(f"{member.client.url}: no answer within {_PATIENCE:g} seconds") from error
        finally:
            member.under_way -= 1

    def avoid_region_of(self, member: Member) -> None:
        """Ask the others of its region last."""
        if member.region is not None:
            self._left.sort(key=lambda other: other.region == member.region)
