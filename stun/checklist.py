"""The candidate pairs of a controlling agent, and what to do with them next.

There is one data stream, one component and one local candidate to a path, so a pair is a `Path` and a priority, and
the freezing of RFC 8445 §6.1.2.6 (which spares checks that are likely to fail alike) has nothing to do: every pair
begins in WAITING.
"""

import enum
from collections.abc import Iterable, Iterator

import attrs

from wire.core import Path

__all__ = ["PAIR_TRANSITIONS", "CandidatePair", "Checklist", "PairInput", "PairState"]


class PairState(enum.Enum):
    """Where the check of a pair stands (RFC 8445 §6.1.2.6)."""

    WAITING = "waiting"
    IN_PROGRESS = "in-progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class PairInput(enum.Enum):
    """What may happen to a pair."""

    SENT = "sent"
    ANSWERED = "answered"
    GAVE_UP = "gave-up"
    TRIGGERED = "triggered"


PAIR_TRANSITIONS: dict[PairState, dict[PairInput, PairState]] = {
    PairState.WAITING: {PairInput.SENT: PairState.IN_PROGRESS, PairInput.ANSWERED: PairState.SUCCEEDED},
    # RFC 8445 §7.3.1.4: a request from the peer sets a pair that is in progress or has failed back to waiting.
    PairState.IN_PROGRESS: {
        PairInput.ANSWERED: PairState.SUCCEEDED,
        PairInput.GAVE_UP: PairState.FAILED,
        PairInput.TRIGGERED: PairState.WAITING,
    },
    PairState.SUCCEEDED: {PairInput.GAVE_UP: PairState.FAILED},
    PairState.FAILED: {PairInput.TRIGGERED: PairState.WAITING},
}
"""Where each input leads; a missing cell changes nothing."""


@attrs.define(kw_only=True)
class CandidatePair:
    """A way that may lead to the peer.

    Attributes:
        path: the peer's candidate, and the local candidate it is tried from.
        priority: higher is preferred.
        state: where its check stands.
    """

    path: Path
    priority: int
    state: PairState = PairState.WAITING

    def apply(self, happened: PairInput) -> bool:
        """Take a step of the table; returns whether there was one."""
        after = PAIR_TRANSITIONS[self.state].get(happened)
        if after is None:
            return False
        self.state = after
        return True


class Checklist:
    """The pairs, in order of priority, with the queue of triggered checks.

    Args:
        candidates: paths and their priorities; a path named twice counts once, with its first priority.
        limit: how many pairs there may be after peer-reflexive ones were learnt.
    """

    __slots__ = ("_limit", "_pairs", "_triggered")

    def __init__(self, candidates: Iterable[tuple[Path, int]], limit: int) -> None:
        self._limit = limit
        self._pairs: dict[Path, CandidatePair] = {}
        self._triggered: list[CandidatePair] = []
        for path, priority in candidates:
            self._pairs.setdefault(path, CandidatePair(path=path, priority=priority))
        self._sort()

    def __iter__(self) -> Iterator[CandidatePair]:
        """Go through the pairs, the preferred one first."""
        return iter(self._pairs.values())

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self._pairs)

    def get(self, path: Path) -> CandidatePair | None:
        """Return the pair of a path."""
        return self._pairs.get(path)

    def learn(self, path: Path, priority: int) -> CandidatePair | None:
        """Add a peer-reflexive pair (RFC 8445 §7.3.1.3); None when there are enough."""
        if len(self._pairs) >= self._limit:
            return None
        pair = self._pairs[path] = CandidatePair(path=path, priority=priority)
        self._sort()
        return pair

    def trigger(self, pair: CandidatePair) -> None:
        """Queue a check of a pair that the peer has just reached us over."""
        pair.apply(PairInput.TRIGGERED)
        if pair.state is PairState.WAITING and pair not in self._triggered:
            self._triggered.append(pair)

    def take_next(self) -> CandidatePair | None:
        """Return the pair to check now: triggered ones first, in order, then the preferred one that waits."""
        # RFC 8445 §6.1.4.2: first the triggered-check queue (FIFO), then the waiting pair of highest priority.
        while self._triggered:
            pair = self._triggered.pop(0)
            if pair.state is PairState.WAITING:
                return pair
        return next((pair for pair in self if pair.state is PairState.WAITING), None)

    def count(self, *states: PairState) -> int:
        """How many pairs are in one of these states."""
        return sum(pair.state in states for pair in self)

    def is_alive(self) -> bool:
        """Whether any pair works or may turn out to."""
        return self.count(PairState.FAILED) < len(self)

    def best(self) -> CandidatePair | None:
        """Return the preferred pair that works."""
        return next((pair for pair in self if pair.state is PairState.SUCCEEDED), None)

    def may_improve(self) -> bool:
        """Whether a pair that is preferred to the best may still turn out to work."""
        for pair in self:
            if pair.state is PairState.SUCCEEDED:
                return False
            if pair.state in (PairState.WAITING, PairState.IN_PROGRESS):
                return True
        return False

    def _sort(self) -> None:
        # `sorted` is stable: pairs of the same priority keep the order in which they were given.
        self._pairs = {pair.path: pair for pair in sorted(self, key=lambda pair: -pair.priority)}
