"""Which of the client's transactions were seen before, and from where: so that what is overheard cannot be used again.

Recent ids are kept with the path they came over, since an honest client repeats a request that was not answered.
Older ones are only recognized: eight bytes of each, side by side in one buffer that is searched as a whole. A thousand
take 8 KB and two microseconds to search, and are about three quarters of an hour of Chrome's checks.
"""

from wire.core import Path

__all__ = ["SeenTransactions"]

_KEPT_BYTES = 8


class SeenTransactions:
    """Remembers transaction ids.

    Args:
        recent: how many are kept with their path.
        older: how many more are recognized.

    Attributes:
        recent: the path that each of them came over first, in order of arrival.
    """

    __slots__ = ("_limit", "_older", "_recent_limit", "recent")

    def __init__(self, *, recent: int, older: int) -> None:
        self._recent_limit = recent
        self._limit = older * _KEPT_BYTES
        self.recent: dict[bytes, Path] = {}
        self._older = bytearray()

    def source_of(self, transaction_id: bytes) -> Path | None:
        """Return the path that a recent transaction came over first; None when it is not recent."""
        return self.recent.get(transaction_id)

    def is_old(self, transaction_id: bytes) -> bool:
        """Whether it was seen, longer ago than any client waits for an answer."""
        kept = transaction_id[-_KEPT_BYTES:]
        position = self._older.find(kept)
        # Found across two neighbours, it is neither of them: look further. (With random ids, once in 2^50.)
        while position % _KEPT_BYTES and position >= 0:
            position = self._older.find(kept, position + 1)
        return position >= 0

    def remember(self, transaction_id: bytes, source: Path) -> None:
        """Note a transaction, and where it came from."""
        self.recent[transaction_id] = source
        if len(self.recent) <= self._recent_limit:
            return
        oldest = next(iter(self.recent))
        del self.recent[oldest]
        self._older += oldest[-_KEPT_BYTES:]
        if len(self._older) > self._limit:
            del self._older[:_KEPT_BYTES]
