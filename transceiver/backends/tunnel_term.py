"""For how long a leg uses the tunnel that it began with, and when it leaves it for a connection of its own.

The process at the other end wants to stop, so the tunnel ends by a deadline. What is not answered when it is left, the
backend that is connected then will not be told: so it is left between two turns once half of its time is over, clients
being held for a moment before, and in any case shortly before its end.
"""

import enum

from transceiver.backends.tunnel_ticket import TunnelTicket
from wire.core import Entropy

__all__ = ["Step", "TunnelTerm"]

_LAST_SECONDS = 1.0
"""Of a tunnel that is about to end: at some instant of it the backend is connected anew, whatever is under way."""

_LAST_ANSWERS = 0.4
"""Seconds before that in which nothing more is said to the backend, and its answers to what was said before come."""
_LONGEST_ANSWERS = 0.9
"""The same at most, while more and more of them come."""
_ANSWERED = 0.2
"""Seconds without an event after which all answers have come."""


class Step(enum.Enum):
    """What is to be done."""

    HOLD_CLIENTS = enum.auto()
    RELEASE_CLIENTS = enum.auto()
    LEAVE = enum.auto()


class TunnelTerm:
    """The time of one tunnel.

    Args:
        ticket: what its other end says of it.
        entropy: source of unpredictable bytes: calls that have moved together do not connect all at once.
        now: when it was taken.

    Attributes:
        hops: processes between this one and the backend.
        ends_at: when it is left, whatever is under way.
        has_left: whether the connection is being closed for that.
    """

    def __init__(self, ticket: TunnelTicket, entropy: Entropy, now: float) -> None:
        self.hops = ticket.hops
        self.ends_at = now + ticket.ends_in - entropy(1)[0] / 255 * min(_LAST_SECONDS, ticket.ends_in / 2)
        self.has_left = False
        self._leaves_from = now + ticket.ends_in / 2
        self._held_at: float | None = None

    @property
    def is_leaving(self) -> bool:
        """Whether clients are held already, or more."""
        return self.has_left or self._held_at is not None

    def step(self, now: float, *, is_quiet: bool, is_between_turns: bool, answered_at: float) -> Step | None:
        """What comes next, if anything.

        Args:
            now: the present.
            is_quiet: whether nobody would notice now.
            is_between_turns: whether it may go on.
            answered_at: when an event of the backend's came last.
        """
        if self.has_left or now < self._leaves_from:
            return None
        is_late = now >= self.ends_at
        if self._held_at is None:
            if not is_late and not is_quiet:
                return None
            self._held_at = now
            return Step.HOLD_CLIENTS
        if not is_late and not is_between_turns:
            self._held_at = None
            return Step.RELEASE_CLIENTS
        held = now - self._held_at
        if held < _LONGEST_ANSWERS and (held < _LAST_ANSWERS or now - answered_at < _ANSWERED):
            return None
        self.has_left = True
        return Step.LEAVE
