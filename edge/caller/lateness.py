"""How late ticks come: a histogram of fixed size, however long it runs."""

__all__ = ["Lateness"]

_STEP = 0.0001
_STEPS = 2000


class Lateness:
    """Counts seconds of delay in steps of 0.1 ms, up to 200 ms.

    Attributes:
        count: how many were added.
    """

    __slots__ = ("_counts", "count")

    def __init__(self) -> None:
        self._counts = [0] * (_STEPS + 1)
        self.count = 0

    def add(self, seconds: float) -> None:
        """Count one delay; early is not late."""
        self._counts[min(max(int(seconds / _STEP), 0), _STEPS)] += 1
        self.count += 1

    def percentile(self, share: float) -> float:
        """Return the delay that `share` (0 to 1) of all do not exceed, rounded up to a step; 0 without any."""
        within = 0
        for step, count in enumerate(self._counts):
            within += count
            if count and within >= share * self.count:
                return (step + 1) * _STEP
        return 0.0

    def clear(self) -> None:
        """Forget all."""
        self._counts = [0] * (_STEPS + 1)
        self.count = 0
