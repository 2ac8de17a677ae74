"""Consent to send: whoever sends media asks now and then whether the receiver still wants it.

Source: RFC 7675 §5.1.
"""

import attrs

from wire.core import Entropy

__all__ = ["Consent"]


@attrs.define(kw_only=True)
class Consent:
    """When to ask again on a path, and until when the last answer lasts.

    Attributes:
        interval: seconds between two consent checks, on average.
        timeout: seconds that consent lasts.
        entropy: for the random part of the intervals.
        next_check: when to ask again.
        until: when consent ends unless an answer comes.
    """

    interval: float
    timeout: float
    entropy: Entropy
    next_check: float = 0.0
    until: float = 0.0

    def begin(self, now: float) -> None:
        """Note that a path was selected, whose check has just been answered."""
        self.grant(now)
        self.asked(now)

    def grant(self, now: float) -> None:
        """Note an answer."""
        # RFC 7675 §5.1: consent expires after 30 seconds.
        self.until = now + self.timeout

    def asked(self, now: float) -> None:
        """Note that a consent check is being sent."""
        # RFC 7675 §5.1: each interval MUST be randomized from between 0.8 and 1.2 times the basic period.
        self.next_check = now + self.interval * (0.8 + 0.4 * int.from_bytes(self.entropy(2), "big") / 0xFFFF)
