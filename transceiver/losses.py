"""How many of a call's packets are lost, both ways, from one look at it to the next."""

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
    """Tells what share a call has lost since it was looked at before."""

    def __init__(self) -> None:
        self._before: PacketCounts | None = None

    def share(self, counts: PacketCounts) -> float | None:
        """Tell what was lost in the worse direction, 0 to 1; None when too little was said to tell.

        Args:
            counts: of now.
        """
        before = self._before
        if before is None or counts.expected < before.expected or counts.sent < before.sent:
            self._before = counts  # the first look; or a source has begun anew, or another process goes on
            return None
        expected, sent = counts.expected - before.expected, counts.sent - before.sent
        shares = []
        if expected >= _FEWEST:
            shares.append(1 - (counts.received - before.received) / expected)
        if sent >= _FEWEST:
            shares.append((counts.lost - before.lost) / sent)
        if not shares:
            return None
        self._before = counts
        # Packets that came twice, or a client that says anything, make shares that are none.
        return min(1.0, max(0.0, *shares))
