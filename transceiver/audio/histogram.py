"""What a quantity has been like lately: a histogram that forgets.

Every value counts a little more than the one before it, which is the same as letting all the old ones fade, and costs
one addition instead of a pass over all buckets.
"""

from bisect import bisect_right
from itertools import accumulate
from math import ceil

__all__ = ["Histogram"]

_LARGEST = 1e100


class Histogram:
    """Weights of non-negative values, in buckets of equal width; what is beyond the last bucket counts in it.

    Args:
        bucket: width of a bucket.
        count: how many there are; bucket 0 holds the value 0 alone.
        memory: how many values it takes for an old one's weight to fall to 1/e; at least 2.
    """

    __slots__ = ("_counts", "_growth", "_last", "_per_unit", "_total", "_weight", "bucket")

    def __init__(self, *, bucket: float, count: int, memory: float) -> None:
        self.bucket = bucket
        self._per_unit = 1 / bucket
        self._last = count - 1
        self._counts = [0.0] * count
        self._growth = 1 + 1 / memory
        self._weight = 1.0
        self._total = 0.0

    def add(self, *values: float, times: float = 1.0) -> None:
        """Count values, one after another.

        Args:
            values: at most 256, so that numbers stay finite; a negative one counts as 0.
            times: as how many each counts; what is believed before anything is measured counts as many.
        """
        counts, per_unit, last, growth = self._counts, self._per_unit, self._last, self._growth
        weight, total = self._weight, self._total
        for value in values:
            # Ceiling, so that the upper edge of a bucket is at least what is in it.
            number = ceil(value * per_unit)
            share = weight * times
            counts[number if 0 < number < last else last if number > 0 else 0] += share
            total += share
            weight *= growth
        self._weight, self._total = weight, total
        if weight > _LARGEST:
            self._scale(1 / weight)

    def add_zeros(self, count: int) -> None:
        """Count the value 0 as often as told, one after another.

        Args:
            count: how often; at most 256, so that numbers stay finite.
        """
        # A geometric series: each weighs more than the one before by the same factor.
        grown = self._weight * self._growth**count
        weight = (grown - self._weight) / (self._growth - 1)
        self._counts[0] += weight
        self._total += weight
        self._weight = grown
        if grown > _LARGEST:
            self._scale(1 / grown)

    def quantile(self, share: float) -> float:
        """Return the value that `share` (0 to 1) of all values do not exceed, up to the width of a bucket; 0 if empty.

        It is looked for from above, where few are: shares of interest are near 1.
        """
        beyond = (1 - share) * self._total
        tails = list(accumulate(reversed(self._counts)))
        return max(self._last - bisect_right(tails, beyond), 0) * self.bucket

    def _scale(self, factor: float) -> None:
        self._counts = [count * factor for count in self._counts]
        self._total *= factor
        self._weight *= factor
