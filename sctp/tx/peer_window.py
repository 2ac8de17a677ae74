"""The window that the peer has announced: how much it takes, and what becomes of one that stays closed.

A window that has closed is probed: once nothing is in flight, a single chunk goes out all the same, for the SACK that
tells of the opened window may have been lost. A peer that goes on answering with a closed window is alive, so it is
never found unreachable; but our memory is not its buffer, and after `zero_window_limit` it is given up.

Source: RFC 9260 §6.1 A, §6.2.1.
"""

from sctp.timers import Timer

__all__ = ["PeerWindow"]


class PeerWindow:
    """The peer's receive window, as it was last announced.

    Args:
        limit: seconds for which it may stay closed while we have something to send.

    Attributes:
        size: bytes, `a_rwnd`; what is in flight has to be subtracted.
        probe: until a closed window is probed for the first time.
        may_probe: whether one chunk may go out although the window is closed.
        closed_since: since when it has been closed while we have something to send.
    """

    __slots__ = ("_limit", "closed_since", "may_probe", "probe", "size")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self.size = 0
        self.probe = Timer()
        self.may_probe = False
        self.closed_since: float | None = None

    def admits_probe(self, now: float, rto: float) -> bool:
        """Whether a chunk may be sent although it does not fit, for nothing is in flight; if not, it may be later."""
        if not self.may_probe and self.probe.deadline is None:
            # §6.1 A: the first probe 1 RTO after the window is found closed.
            self.probe.start(now + rto)
        return self.may_probe

    def watch(self, now: float, *, is_closed: bool, has_advanced: bool) -> None:
        """Learn from a SACK.

        Args:
            now: the present.
            is_closed: whether it leaves no room, while we have something to send.
            has_advanced: whether the cumulative TSN ack has advanced: the peer takes something, however slowly.
        """
        if not is_closed or has_advanced:
            self.closed_since = None
        if is_closed and self.closed_since is None:
            self.closed_since = now
        if not is_closed:
            self.probe.stop()
            self.may_probe = False

    def is_starved(self, now: float) -> bool:
        """Whether the peer has kept it closed for too long."""
        return self.closed_since is not None and now >= self.closed_since + self._limit

    def next_timeout(self) -> float | None:
        """When a probe is due, or patience ends."""
        when = self.probe.deadline
        if self.closed_since is not None:
            end = self.closed_since + self._limit
            when = end if when is None else min(when, end)
        return when

    def handle_timeout(self, now: float) -> None:
        """Let a probe out, if it is due."""
        if self.probe.is_due(now):
            self.probe.stop()
            self.may_probe = True
