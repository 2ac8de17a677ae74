"""From chunks to messages: putting fragments together, whole messages in order, and stream resets between them.

What is kept here counts against the receive window; what is delivered does not.

Source: RFC 9260 §6.6, §6.9; RFC 3758 §3.6; RFC 6525 §5.2.2.
"""

from collections.abc import Iterable

import attrs

from sctp.drops import DropReason
from sctp.events import MessageReceived, StreamsReset
from sctp.rx.fragments import BEGINNING, END, UNORDERED, Fragment, FragmentRuns
from sctp.rx.stream_order import StreamOrder
from wire.core import Drops, Event

__all__ = ["DeferredReset", "Delivery"]

_FRAGMENT_FLAGS = UNORDERED | BEGINNING | END
_WHOLE = BEGINNING | END


@attrs.define
class DeferredReset:
    """Streams that the peer wants to reset once all up to a TSN has arrived (RFC 6525 §5.2.2 E2).

    Attributes:
        last_tsn: the last TSN before the reset, unwrapped.
        stream_ids: which; empty means all.
        fragments: what has arrived on them that belongs behind the reset.
    """

    last_tsn: int
    stream_ids: frozenset[int]
    fragments: list[Fragment] = attrs.field(factory=list)

    def holds(self, tsn: int, stream_id: int) -> bool:
        """Whether a chunk belongs behind the reset."""
        return tsn > self.last_tsn and (not self.stream_ids or stream_id in self.stream_ids)

    def extend(self, last_tsn: int, stream_ids: frozenset[int]) -> None:
        """The peer asks again, or for more, before the first was done: one wait for all of it."""
        is_all = not stream_ids or not self.stream_ids
        self.stream_ids = frozenset() if is_all else stream_ids | self.stream_ids
        self.last_tsn = max(self.last_tsn, last_tsn)


class Delivery:
    """What has arrived and waits to be whole, to be its turn, or for a stream reset.

    Args:
        max_message_size: bytes of the largest message put together.
        initial_tsn: the peer's first TSN.
        drops: where what is dropped is counted.
        events: where messages and resets are reported.

    Attributes:
        runs: fragments of messages that are not whole.
        order: whole messages that wait for their turn.
        deferred: a reset that waits.
        held_bytes: what is kept and not delivered.
        held_chunks: in how many pieces.
    """

    __slots__ = ("_drops", "_events", "deferred", "held_bytes", "held_chunks", "order", "runs")

    def __init__(self, max_message_size: int, initial_tsn: int, drops: Drops, events: list[Event]) -> None:
        self._drops = drops
        self._events = events
        self.runs = FragmentRuns(max_message_size, initial_tsn - 1)
        self.order = StreamOrder()
        self.deferred: DeferredReset | None = None
        self.held_bytes = 0
        self.held_chunks = 0

    # DATA ------------------------------------------------------------------------------------------------------------

    def add(self, tsn: int, stream_id: int, stream_sequence_number: int, ppid: int, flags: int, payload: bytes) -> None:
        """Take a DATA chunk that has not arrived before.

        Args:
            tsn: unwrapped.
            stream_id: stream identifier.
            stream_sequence_number: wrapped.
            ppid: payload protocol identifier.
            flags: those of the chunk.
            payload: user data.

        Raises:
            RemoteProtocolError: it contradicts other chunks, or belongs to a message that is too large.
        """
        runs = self.runs
        run = runs.growing
        if (
            run is not None
            and run.last == tsn - 1
            and flags & _FRAGMENT_FLAGS == run.inner_flags
            and not run.has_end
            and run.stream_id == stream_id
            and run.stream_sequence_number == stream_sequence_number
            and self.deferred is None
            and tsn + 1 not in runs.by_first
            and run.size + len(payload) <= runs.max_message_size
        ):
            # The hot path: a piece from the middle of a large message, behind the one before it.
            size = len(payload)
            run.payloads.append(payload)
            run.last = tsn
            run.size += size
            self.held_chunks += 1
            self.held_bytes += size
        else:
            self._sort(Fragment(tsn, stream_id, stream_sequence_number, ppid, flags, payload))

    def _sort(self, fragment: Fragment) -> None:
        """Deliver a fragment, or keep it where it belongs."""
        deferred = self.deferred
        if deferred is not None and deferred.holds(fragment.tsn, fragment.stream_id):
            deferred.fragments.append(fragment)
            self.hold(1, len(fragment.payload))
            return
        tsn, stream_id, number, ppid, flags, payload = fragment
        if flags & _WHOLE == _WHOLE:
            self.runs.check_whole(tsn)
            message = MessageReceived(stream_id, ppid, payload)
            self._deliver(message, number, is_unordered=flags & UNORDERED != 0)
            return
        if self.runs.is_orphan(tsn, flags):
            self._drops[DropReason.SKIPPED_FRAGMENT] += 1
            return
        self.hold(1, len(payload))
        run = self.runs.add(fragment)
        if run is not None:
            self.hold(-len(run.payloads), -run.size)
            message = MessageReceived(stream_id, run.ppid, b"".join(run.payloads))
            self._deliver(message, number, is_unordered=run.is_unordered)

    def _deliver(self, message: MessageReceived, stream_sequence_number: int, *, is_unordered: bool) -> None:
        if is_unordered:
            self._events.append(message)
            return
        messages = self.order.add(stream_sequence_number, message)
        if messages is None:
            self._drops[DropReason.OLD_STREAM_SEQUENCE_NUMBER] += 1
        elif not messages:
            self.hold(1, len(message.data))
        else:
            self._events += messages
            if len(messages) > 1:
                self._release(messages[1:])

    def hold(self, chunks: int, size: int) -> None:
        """So many chunks and bytes are kept; fewer, if negative."""
        self.held_chunks += chunks
        self.held_bytes += size

    def _release(self, messages: Iterable[MessageReceived]) -> None:
        for message in messages:
            self.hold(-1, -len(message.data))

    # FORWARD TSN -----------------------------------------------------------------------------------------------------

    def skip(self, tsn: int, skipped: Iterable[tuple[int, int]]) -> None:
        """The peer has given up what is missing.

        Args:
            tsn: up to which, unwrapped.
            skipped: the last message skipped of each stream: its identifier and wrapped sequence number.
        """
        for run in self.runs.skip(tsn):
            self.hold(-len(run.payloads), -run.size)
        for stream_id, stream_sequence_number in skipped:
            if self.deferred is not None and self.deferred.holds(tsn, stream_id):
                # What it skips may lie behind the reset, where numbers begin anew.
                self.perform_deferred(tsn)
            messages = self.order.skip(stream_id, stream_sequence_number)
            self._events += messages
            self._release(messages)

    # Stream resets ---------------------------------------------------------------------------------------------------

    def defer(self, last_tsn: int, stream_ids: frozenset[int]) -> None:
        """The peer resets streams that it sends on; all of them, if none is named."""
        if self.deferred is None:
            self.deferred = DeferredReset(last_tsn, stream_ids)
        else:
            self.deferred.extend(last_tsn, stream_ids)

    def perform_deferred(self, cumulative_tsn: int) -> None:
        """Perform the reset that waits, if all before it has arrived."""
        deferred = self.deferred
        if deferred is None or cumulative_tsn < deferred.last_tsn:
            return
        self.deferred = None
        self._release(self.order.reset(deferred.stream_ids))
        self._events.append(StreamsReset(stream_ids=tuple(sorted(deferred.stream_ids))))
        # RFC 6525 §5.2.2 E4.
        for fragment in deferred.fragments:
            self.hold(-1, -len(fragment.payload))
            self._sort(fragment)
