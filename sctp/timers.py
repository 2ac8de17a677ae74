"""Deadlines: one that is set and cleared, and one that doubles until it gives up."""

__all__ = ["BackoffTimer", "Timer"]


class Timer:
    """A deadline.

    Attributes:
        deadline: when it expires; None while it is not running.
    """

    __slots__ = ("deadline",)

    def __init__(self) -> None:
        self.deadline: float | None = None

    def start(self, when: float) -> None:
        """Let it expire then, whether it is running or not."""
        self.deadline = when

    def stop(self) -> None:
        """Let it not expire."""
        self.deadline = None

    def is_due(self, now: float) -> bool:
        """Whether it has expired."""
        return self.deadline is not None and now >= self.deadline


class BackoffTimer(Timer):
    """A deadline that is twice as far away each time, a limited number of times.

    Args:
        initial: seconds before the first expiration.
        maximum: seconds where doubling ends.
        limit: expirations after which it gives up.

    Attributes:
        expirations: how often it has expired since it was started.
    """

    __slots__ = ("_initial", "_limit", "_maximum", "expirations")

    def __init__(self, initial: float, maximum: float, limit: int) -> None:
        super().__init__()
        self._initial = initial
        self._maximum = maximum
        self._limit = limit
        self.expirations = 0

    def begin(self, now: float) -> None:
        """Something was sent for the first time."""
        self.expirations = 0
        self.deadline = now + self._initial

    def expired(self, now: float) -> bool:
        """It has expired, and what it watches is sent again.

        Returns:
            False when that was done often enough.
        """
        self.expirations += 1
        if self.expirations > self._limit:
            self.deadline = None
            return False
        self.deadline = now + min(self._initial * 2**self.expirations, self._maximum)
        return True
