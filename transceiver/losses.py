"""How many of a call's packets are lost, both ways, from one look at it to the next."""

from collections.abc import Collection
from typing import NamedTuple

__all__ = ["LossMeter", "PacketCounts"]

_FEWEST = 100
"""Packets, two seconds of speech: of fewer no share is told, and the next look tells of more."""


class PacketCounts(NamedTuple):
    """What was counted of a call since it began.

    Attributes:
        expected: packets of the client's, by its sequence numbers.
        received: how many of them came.
        sent: packets of ours.
        lost: how many of them did not reach the client, as it says.
    """

    expected: int
    received: int
    sent: int
    lost: int


class LossMeter:
    """Tells of each call what share it has lost since it was looked at before."""

    def __init__(self) -> None:
        self._before: dict[int, PacketCounts] = {}

    def share(self, session_id: int, counts: PacketCounts) -> float | None:
        """Tell what was lost in the worse direction, 0 to 1; None when too little was said to tell.

        Args:
            session_id: of the call.
            counts: of now.
        """
        before = self._before.setdefault(session_id, counts)
        expected, sent = counts.expected - before.expected, counts.sent - before.sent
        if expected < 0 or sent < 0:
            self._before[session_id] = counts  # a source has begun anew, or another process goes on
            return None
        shares = []
        if expected >= _FEWEST:
            shares.append(1 - (counts.received - before.received) / expected)
        if sent >= _FEWEST:
            shares.append((counts.lost - before.lost) / sent)
        if not shares:
            return None
        self._before[session_id] = counts
        # Packets that came twice, or a client that says anything, make shares that are none.
        return min(1.0, max(0.0, *shares))

    def keep_only(self, session_ids: Collection[int]) -> None:
        """Forget the calls that have ended."""
        self._before = {each: counts for each, counts in self._before.items() if each in session_ids}
