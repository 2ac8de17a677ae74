"""When audio that came all the time comes no more: the path may be broken, and a check of it mends what can be mended.

A NAT that has forgotten us, or has got another address itself, shows as silence: our packets come from an address that
the server does not know, and its packets go to one that is no longer ours. Consent is asked for every five seconds; who
waits for that loses as much audio. Browsers doubt a path after two seconds without a packet; audio comes every 20 ms,
so we can tell sooner. Silence may also be just that, hence ever longer pauses between the checks.
"""

__all__ = ["SilenceWatch"]

FIRST = 0.1
"""Seconds of silence before the first check: five packets, and more than jitter on a path that is worth keeping."""
CHECKS = 6
"""Checks in one silence: 0.1, 0.3, 0.7, 1.5, 3.1 and 6.3 seconds after the last packet."""


class SilenceWatch:
    """Tells when to check the path."""

    __slots__ = ("_checks", "_heard")

    def __init__(self) -> None:
        self._heard = 0.0
        self._checks = 0

    def next_at(self, heard: float | None) -> float | None:
        """When the path has to be checked, unless something comes before.

        Args:
            heard: when the last packet came; None before the first.

        Returns:
            The time; None when nothing was heard yet, or enough was asked already.
        """
        if heard is None:
            return None
        if heard != self._heard:
            self._heard, self._checks = heard, 0
        if self._checks >= CHECKS:
            return None
        return heard + FIRST * ((2 << self._checks) - 1)

    def checked(self) -> None:
        """Note that the path is being checked."""
        self._checks += 1
