"""A bound on how often something may happen."""

__all__ = ["RateLimit"]


class RateLimit:
    """A token bucket: `burst` at once, `per_second` over a while.

    Args:
        per_second: tokens that come back each second.
        burst: tokens at most.
        now: monotonic seconds.
    """

    __slots__ = ("_burst", "_per_second", "_tokens", "_updated")

    def __init__(self, per_second: float, burst: int, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._updated = now

    def admits(self, now: float) -> bool:
        """Whether it may happen once more, now; if so, that is counted."""
        passed = max(0.0, now - self._updated)
        self._updated = now
        self._tokens = min(self._burst, self._tokens + passed * self._per_second)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
