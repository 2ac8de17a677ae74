"""A Redis that is full (`maxmemory` with `noeviction`), as one process finds it: said once, and once when it is over.

It begins with the first write that is refused. From then on somebody asks every second whether a write would be taken:
at the brink one is taken and the next refused, so it is over when none was refused for `_ROOM_FOR`.
"""

from edge.reports import Report
from edge.store.script import Script
from transceiver.handover.ownership import StoreUnavailable

__all__ = ["IS_THERE_ROOM", "Fullness", "StoreFull"]

IS_THERE_ROOM = Script("#!lua\nreturn true")
"""Writes nothing, and is refused while writes are: it does not say that it needs no room."""

_ROOM_FOR = 5.0
"""Seconds without a refusal after which there is room again."""


class StoreFull(StoreUnavailable):
    """Redis has no memory left, and has changed nothing."""


class Fullness:
    """Whether the store refuses writes for lack of memory.

    Args:
        store: what to call it.
        report: takes a line when it begins and when it is over.
    """

    def __init__(self, store: str, report: Report) -> None:
        self._store = store
        self._report = report
        self._refused: float | None = None  # the last time that something was

    @property
    def is_full(self) -> bool:
        """Whether a write was refused lately."""
        return self._refused is not None

    def refused(self, problem: StoreFull, now: float) -> None:
        """Note that a write was refused.

        Args:
            problem: what was said.
            now: monotonic seconds.
        """
        if self._refused is None:
            facts = {
                "problem": str(problem),
                "so": "new calls get no record, and end with their transceiver; those that have one can move",
                "to_do": "raise Redis's maxmemory",
            }
            self._report("store-full", facts)
        self._refused = now

    def accepted(self, now: float) -> None:
        """Note that a write would have been taken."""
        if self._refused is not None and now - self._refused >= _ROOM_FOR:
            self._refused = None
            self._report("store-has-room-again", {"store": self._store})

    def forget(self) -> None:
        """Note that the connection is lost, and nothing known any more."""
        self._refused = None
