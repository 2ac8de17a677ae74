"""Which TSNs have arrived: the cumulative TSN, the islands behind its gap, and duplicates.

All numbers are unwrapped. An island is a run of TSNs that has arrived, with a gap before it; islands are sorted and
never touch.

Source: RFC 9260 §6.2, §6.7.
"""

from bisect import bisect_right

from wire.serial import Unwrapper

__all__ = ["DataTracker"]

_MAX_DUPLICATES = 16
"""Duplicates reported in one SACK; the rest is counted and not told, which is allowed (RFC 9260 §6.2: SHOULD)."""


class DataTracker:
    """What has arrived of the peer's TSNs.

    Args:
        initial_tsn: the peer's first TSN.

    Attributes:
        cumulative_tsn: all TSNs up to it have arrived, or were given up by the peer.
        duplicates: TSNs that arrived again since the last SACK.
        has_gap: whether something is missing before what has arrived.
    """

    __slots__ = ("_firsts", "_lasts", "cumulative_tsn", "duplicates", "has_gap")

    def __init__(self, initial_tsn: int) -> None:
        self.cumulative_tsn = initial_tsn - 1
        self.duplicates: list[int] = []
        self.has_gap = False
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def unwrap(self, wrapped: int) -> int:
        """Return the TSN nearest to the cumulative TSN."""
        return Unwrapper(32, self.cumulative_tsn).peek(wrapped)

    @property
    def highest(self) -> int:
        """The highest TSN that has arrived."""
        return self._lasts[-1] if self._lasts else self.cumulative_tsn

    def has(self, tsn: int) -> bool:
        """Whether a TSN has arrived."""
        if tsn <= self.cumulative_tsn:
            return True
        index = bisect_right(self._firsts, tsn) - 1
        return index >= 0 and tsn <= self._lasts[index]

    def repeated(self, tsn: int) -> None:
        """A TSN has arrived again."""
        if len(self.duplicates) < _MAX_DUPLICATES:
            self.duplicates.append(tsn)

    def add(self, tsn: int) -> None:
        """A TSN has arrived for the first time."""
        firsts, lasts = self._firsts, self._lasts
        if tsn == self.cumulative_tsn + 1:
            self.cumulative_tsn = tsn
            if firsts:
                self._swallow()
            return
        self.has_gap = True
        index = bisect_right(firsts, tsn)  # the island behind it
        joins_left = index > 0 and lasts[index - 1] == tsn - 1
        joins_right = index < len(firsts) and firsts[index] == tsn + 1
        if joins_left and joins_right:
            lasts[index - 1] = lasts[index]
            del firsts[index], lasts[index]
        elif joins_left:
            lasts[index - 1] = tsn
        elif joins_right:
            firsts[index] = tsn
        else:
            firsts.insert(index, tsn)
            lasts.insert(index, tsn)

    def forward(self, new_cumulative_tsn: int) -> None:
        """The peer has given up all that is missing up to a TSN (RFC 3758 §3.6)."""
        self.cumulative_tsn = new_cumulative_tsn
        self._swallow()

    def _swallow(self) -> None:
        """Move the cumulative TSN over the islands that it has reached."""
        count = 0
        for first, last in zip(self._firsts, self._lasts, strict=True):
            if first > self.cumulative_tsn + 1:
                break
            self.cumulative_tsn = max(self.cumulative_tsn, last)
            count += 1
        del self._firsts[:count], self._lasts[:count]
        self.has_gap = bool(self._firsts)

    def gap_blocks(self, limit: int) -> tuple[tuple[int, int], ...]:
        """Return the islands as offsets from the cumulative TSN, lowest first (RFC 9260 §6.7), at most `limit`."""
        base = self.cumulative_tsn
        pairs = zip(self._firsts[:limit], self._lasts[:limit], strict=True)
        return tuple((first - base, last - base) for first, last in pairs)

    def islands(self) -> list[tuple[int, int]]:
        """Return first and last TSN of each island."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def restore_islands(self, islands: list[tuple[int, int]]) -> None:
        """Put back what `islands` returned."""
        self._firsts = [first for first, _ in islands]
        self._lasts = [last for _, last in islands]
        self.has_gap = bool(islands)
