"""What transceivers have announced to a relay, and the relay has not taken up yet.

Goal: a relay that has just started, to which fifty transceivers announce all they have, goes on forwarding.

Construction: chunks are taken up in the order in which they came, at most `_BURST` at once and `_RATE` a second, which
keeps a core less than a third busy (a new flow costs some 11 µs, a known one 0.3). A chunk is acknowledged when it is
taken up, so transceivers wait for slow relays by themselves (`relay.hop.announcing`). Bound: `MAX_CHUNKS`; what comes
beyond is not acknowledged, and so comes again.
"""

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from relay.hop.messages import Announce
from relay.hop.pace import Pace

__all__ = ["MAX_CHUNKS", "Lessons"]

MAX_CHUNKS = 512
_RATE = 600.0
_BURST = 4

_Teacher = TypeVar("_Teacher")


class Lessons(Generic[_Teacher]):
    """Chunks that wait, each with whoever announced it.

    Args:
        now: the present.
    """

    def __init__(self, now: float) -> None:
        self._chunks: deque[tuple[_Teacher, Announce]] = deque()
        self._pace = Pace(rate=_RATE, burst=_BURST, now=now)

    def __len__(self) -> int:
        """How many chunks wait."""
        return len(self._chunks)

    def add(self, teacher: _Teacher, announce: Announce) -> bool:
        """Keep a chunk; return whether there was room."""
        if len(self._chunks) >= MAX_CHUNKS:
            return False
        self._chunks.append((teacher, announce))
        return True

    def take(self, now: float) -> Iterable[tuple[_Teacher, Announce]]:
        """Take what may be taken up now."""
        while self._chunks and self._pace.take(now):
            yield self._chunks.popleft()

    def next_timeout(self) -> float | None:
        """When there is something to take."""
        return self._pace.ready() if self._chunks else None
