"""Putting fragments together to messages, in whatever order they arrive.

The fragments of a message have consecutive TSNs (RFC 9260 §6.9). So a *run* of consecutive fragments grows at both
ends until its first has the B bit and its last the E bit. Runs are found by their ends, so a fragment costs the same
however many of its message are there.

A peer whose bits contradict each other (a message that begins inside another) is misbehaving: something that it was
told is delivered can never be. There is no way to go on from there but to abort.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from wire.errors import LimitError, MisbehavedError

__all__ = ["BEGINNING", "END", "UNORDERED", "Fragment", "FragmentRuns", "Run"]

UNORDERED = 4
BEGINNING = 2
END = 1
"""The bits U, B and E of a DATA chunk (RFC 9260 §3.3.1)."""


class Fragment(NamedTuple):
    """A DATA chunk that has arrived.

    Attributes:
        tsn: unwrapped.
        stream_id: stream identifier.
        stream_sequence_number: wrapped, 16 bits; for one that is unordered it says nothing.
        ppid: payload protocol identifier.
        flags: of UNORDERED, BEGINNING, END.
        payload: user data.
    """

    tsn: int
    stream_id: int
    stream_sequence_number: int
    ppid: int
    flags: int
    payload: bytes


class Run:
    """Consecutive fragments of one message.

    Attributes:
        first: the lowest TSN.
        last: the highest TSN.
        has_beginning: whether the message begins with the first.
        has_end: whether the message ends with the last.
        stream_id: of all fragments.
        stream_sequence_number: of all fragments; wrapped.
        ppid: of the first that arrived.
        inner_flags: those of a fragment that is neither the first nor the last: U of all fragments.
        payloads: in order.
        size: bytes in them.
    """

    __slots__ = (
        "first",
        "has_beginning",
        "has_end",
        "inner_flags",
        "last",
        "payloads",
        "ppid",
        "size",
        "stream_id",
        "stream_sequence_number",
    )

    def __init__(self, fragment: Fragment) -> None:
        self.first = self.last = fragment.tsn
        self.has_beginning = fragment.flags & BEGINNING != 0
        self.has_end = fragment.flags & END != 0
        self.stream_id = fragment.stream_id
        self.stream_sequence_number = fragment.stream_sequence_number
        self.ppid = fragment.ppid
        self.inner_flags = fragment.flags & UNORDERED
        self.payloads = deque((fragment.payload,))
        self.size = len(fragment.payload)

    @property
    def is_unordered(self) -> bool:
        """Whether the message may be delivered before earlier ones."""
        return self.inner_flags != 0

    @property
    def is_whole(self) -> bool:
        """Whether it is the message."""
        return self.has_beginning and self.has_end

    def join(self, other: "Run") -> "Run":
        """Return this and the run behind it as one, moving the shorter one.

        Raises:
            MisbehavedError: they are neighbours and of different messages, though neither begins or ends there.
        """
        if (
            self.stream_id != other.stream_id
            or self.inner_flags != other.inner_flags
            or (not self.is_unordered and self.stream_sequence_number != other.stream_sequence_number)
        ):
            raise MisbehavedError("RFC 9260 §6.9: the fragments of a message have consecutive TSNs")
        size = self.size + other.size
        if len(self.payloads) >= len(other.payloads):
            self.payloads.extend(other.payloads)
            self.last, self.has_end, self.size = other.last, other.has_end, size
            return self
        other.payloads.extendleft(reversed(self.payloads))
        other.first, other.has_beginning, other.size = self.first, self.has_beginning, size
        return other

    def fragments(self) -> Iterator[Fragment]:
        """The fragments as they arrived."""
        for tsn, payload in enumerate(self.payloads, self.first):
            flags = self.inner_flags
            flags |= (self.has_beginning and tsn == self.first) * BEGINNING
            flags |= (self.has_end and tsn == self.last) * END
            yield Fragment(tsn, self.stream_id, self.stream_sequence_number, self.ppid, flags, payload)


class FragmentRuns:
    """Fragments whose messages are not whole yet.

    Args:
        max_message_size: bytes of the largest message put together.
        skipped_up_to: the peer has given up what is missing up to this TSN.

    Attributes:
        max_message_size: as given.
        skipped_up_to: as given, and growing.
        by_first: the runs, by their first TSN.
        growing: the run that was touched last. `Delivery.add` appends to it what follows without a gap; so it is only
            here that it is found by its last TSN.
    """

    __slots__ = ("_by_last", "by_first", "growing", "max_message_size", "skipped_up_to")

    def __init__(self, max_message_size: int, skipped_up_to: int) -> None:
        self.max_message_size = max_message_size
        self.skipped_up_to = skipped_up_to
        self.growing: Run | None = None
        self.by_first: dict[int, Run] = {}
        self._by_last: dict[int, Run] = {}

    def _ending_at(self, tsn: int) -> Run | None:
        """Return the run whose last TSN is this one."""
        growing = self.growing
        return growing if growing is not None and growing.last == tsn else self._by_last.get(tsn)

    def _insert(self, run: Run) -> None:
        if self.growing is not None:
            self._by_last[self.growing.last] = self.growing
        self.by_first[run.first] = self.growing = run

    def _remove(self, run: Run) -> None:
        del self.by_first[run.first]
        if run is self.growing:
            self.growing = None
        else:
            del self._by_last[run.last]

    def add(self, fragment: Fragment) -> Run | None:
        """Take a fragment that is not a message by itself.

        Returns:
            Its message, if it is whole now; else None.

        Raises:
            MisbehavedError: it contradicts its neighbours.
            LimitError: the message is larger than allowed.
        """
        run = Run(fragment)
        left = self._ending_at(run.first - 1)
        if left is not None and _meet(left, run):
            self._remove(left)
            run = left.join(run)
        right = self.by_first.get(run.last + 1)
        if right is not None and _meet(run, right):
            self._remove(right)
            run = run.join(right)
        if run.size > self.max_message_size:
            raise LimitError("max_message_size")
        if run.is_whole:
            return run
        self._insert(run)
        return None

    def check_whole(self, tsn: int) -> None:
        """Check that a message of one fragment does not lie inside of another.

        Raises:
            MisbehavedError: it does.
        """
        left, right = self._ending_at(tsn - 1), self.by_first.get(tsn + 1)
        if (left is not None and not left.has_end) or (right is not None and not right.has_beginning):
            raise MisbehavedError("RFC 9260 §6.9: a message ends where the next one begins")

    def is_orphan(self, tsn: int, flags: int) -> bool:
        """Whether the beginning of a fragment's message was given up by the peer, so that it can never be whole."""
        if flags & BEGINNING or tsn - 1 > self.skipped_up_to:
            return False
        self.skipped_up_to = max(self.skipped_up_to, tsn)
        return True

    def skip(self, up_to: int) -> list[Run]:
        """The peer has given up what is missing up to a TSN: remove and return what can never be whole."""
        self.skipped_up_to = max(self.skipped_up_to, up_to)
        removed: list[Run] = []
        # RFC 3758 §3.6: any partial message that is still missing a TSN up to the new cumulative TSN. What follows
        # such a run without a gap belongs to it.
        for first, run in sorted(self.by_first.items()):
            lacks_beginning = not run.has_beginning and first - 1 <= self.skipped_up_to
            lacks_end = not run.has_end and run.last + 1 <= up_to
            if lacks_beginning or lacks_end:
                self._remove(run)
                removed.append(run)
                self.skipped_up_to = max(self.skipped_up_to, run.last)
        return removed

    def fragments(self) -> Iterator[Fragment]:
        """All that is held."""
        for run in self.by_first.values():
            yield from run.fragments()


def _meet(left: Run, right: Run) -> bool:
    """Whether two neighbours belong to one message.

    Raises:
        MisbehavedError: one ends where the other does not begin, or the other way round.
    """
    if left.has_end != right.has_beginning:
        raise MisbehavedError("RFC 9260 §6.9: a message ends where the next one begins")
    return not left.has_end
