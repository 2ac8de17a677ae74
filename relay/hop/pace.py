"""How fast ANNOUNCE messages are sent, and how fast they are learned."""

__all__ = ["Pace"]


class Pace:
    """A token bucket: so many at once, and so many a second.

    Args:
        rate: how many a second, in the long run.
        burst: how many at once after a rest.
        now: the present.
    """

    __slots__ = ("_burst", "_filled", "_rate", "_tokens")

    def __init__(self, *, rate: float, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """Take one, if there is one now."""
        if now > self._filled:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def ready(self) -> float:
        """When there is one; in the past if there is one now."""
        return self._filled + max(0.0, 1 - self._tokens) / self._rate
