"""Everything that arrives as DATA or FORWARD TSN: what is new, what fits the window, what is whole and in order.

The receive window bounds memory: what waits for reassembly, for its turn or for a stream reset counts against it;
what is delivered does not. A chunk that fills a gap is taken even when the window is full, because only that frees
memory again; the number of chunks is bounded by `max_tsn_distance` then.

Source: RFC 9260 §6.2, §6.5 to §6.7, §6.9; RFC 3758 §3.6; RFC 6525 §5.2.2.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import attrs

from sctp.causes.cause import Cause
from sctp.causes.invalid_stream_identifier import InvalidStreamIdentifier
from sctp.drops import DropReason
from sctp.events import MessageReceived, StreamsReset
from sctp.options import SctpOptions
from sctp.rx.data_tracker import DataTracker
from sctp.rx.fragments import BEGINNING, END, UNORDERED, Fragment, FragmentRuns
from sctp.rx.sack_schedule import SackSchedule
from sctp.rx.stream_order import StreamOrder
from wire.core import Drops, Event

__all__ = ["Acknowledgement", "DeferredReset", "Receiver"]

_SACK_HEADER_SIZE = 16

WHOLE = BEGINNING | END

_MAX_CAUSES = 4
"""Invalid streams reported per packet."""


class Acknowledgement(NamedTuple):
    """The fields of a SACK (`sctp.chunks.sack`), wrapped."""

    cumulative_tsn_ack: int
    a_rwnd: int
    gap_ack_blocks: Sequence[tuple[int, int]]
    duplicate_tsns: Sequence[int]


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


class Receiver:
    """The receiving half of an association; knows nothing of the sending half.

    Args:
        options: window and limits.
        initial_tsn: the peer's first TSN.
        inbound_streams: how many streams the peer may use.
        drops: where what is dropped is counted.
        events: where what happens is reported.

    Attributes:
        tracker: which TSNs have arrived.
        sacks: when a SACK is due.
        causes: errors that the peer is to be told.
        held_bytes: what is kept and not delivered.
        held_chunks: in how many pieces.
        announced: the window that the last SACK has told.
        was_touched: whether the packet that is being read has DATA or FORWARD TSN.
        runs: fragments of messages that are not whole.
        order: whole messages that wait for their turn.
        deferred: a reset that waits.
    """

    __slots__ = (
        "_drops",
        "_events",
        "_inbound_streams",
        "_is_urgent",
        "_max_tsn_distance",
        "_slack",
        "_window",
        "announced",
        "causes",
        "deferred",
        "held_bytes",
        "held_chunks",
        "order",
        "runs",
        "sacks",
        "tracker",
        "was_touched",
    )

    def __init__(
        self, options: SctpOptions, initial_tsn: int, inbound_streams: int, drops: Drops, events: list[Event]
    ) -> None:
        self._drops = drops
        self._events = events
        self._inbound_streams = inbound_streams
        self._window = options.receive_window
        self._slack = options.max_message_size
        self._max_tsn_distance = options.max_tsn_distance
        self.tracker = DataTracker(initial_tsn)
        self.sacks = SackSchedule(options.sack_delay)
        self.runs = FragmentRuns(options.max_message_size, initial_tsn - 1)
        self.order = StreamOrder()
        self.deferred: DeferredReset | None = None
        self.causes: list[Cause] = []
        self.held_bytes = 0
        self.held_chunks = 0
        self._is_urgent = False
        self.announced = self._window
        self.was_touched = False

    @property
    def window_left(self) -> int:
        """Bytes that the peer may still send (a_rwnd)."""
        return max(self._window - self.held_bytes, 0)

    @property
    def inbound_streams(self) -> int:
        """How many streams the peer may use."""
        return self._inbound_streams

    # DATA ------------------------------------------------------------------------------------------------------------

    def receive_data(
        self,
        tsn: int,
        stream_id: int,
        stream_sequence_number: int,
        ppid: int,
        flags: int,
        payload: bytes,
    ) -> None:
        """Take a DATA chunk.

        Args:
            tsn: wrapped.
            stream_id: stream identifier.
            stream_sequence_number: wrapped.
            ppid: payload protocol identifier.
            flags: those of the chunk; 8 is I.
            payload: user data, not empty.

        Raises:
            RemoteProtocolError: it contradicts other chunks, or belongs to a message that is too large.
        """
        tracker = self.tracker
        self.was_touched = True
        following = tracker.cumulative_tsn + 1
        if flags & 8:
            # §6.2: the I bit asks for a SACK without delay.
            self._is_urgent = True
        if tsn == following & 0xFFFF_FFFF and not tracker.has_gap:
            if self.held_bytes >= self._window or self.held_chunks >= self._max_tsn_distance:
                self._refuse(DropReason.WINDOW_FULL)
                return
            tsn = following
            tracker.cumulative_tsn = tsn
        else:
            tsn = tracker.unwrap(tsn)
            # RFC 9260 §6.7: a gap is reported at once, RFC 5681 §4.2: what fills one and §6.2: a duplicate, too.
            self._is_urgent = True
            if tsn != following and not self._accepts_out_of_order(tsn):
                return
            tracker.add(tsn)
        if stream_id >= self._inbound_streams:
            # §6.5: acknowledged, reported and discarded.
            self._drops[DropReason.UNKNOWN_STREAM] += 1
            if len(self.causes) < _MAX_CAUSES:
                self.causes.append(InvalidStreamIdentifier(stream_id=stream_id))
        elif self.deferred is None and self.runs.append(tsn, stream_id, stream_sequence_number, flags, payload):
            self.held_chunks += 1
            self.held_bytes += len(payload)
        else:
            self._sort(Fragment(tsn, stream_id, stream_sequence_number, ppid, flags, payload))
        if self.deferred is not None:
            self._perform_deferred()

    @property
    def _is_full(self) -> bool:
        return self.held_bytes >= self._window or self.held_chunks >= self._max_tsn_distance

    def _refuse(self, reason: DropReason) -> None:
        # §6.2: whenever a chunk is dropped, a SACK MUST be sent immediately.
        self._drops[reason] += 1
        self._is_urgent = True

    def _accepts_out_of_order(self, tsn: int) -> bool:
        tracker = self.tracker
        if tsn - tracker.cumulative_tsn > self._max_tsn_distance:
            self._refuse(DropReason.TSN_TOO_FAR)
        elif tracker.has(tsn):
            tracker.repeated(tsn)
            self._drops[DropReason.DUPLICATE_TSN] += 1
        elif self._is_full and (tsn > tracker.highest or self.held_bytes >= self._window + self._slack):
            # §6.2: with the window at 0, what is beyond the largest TSN MUST be dropped; what is before it is taken.
            self._refuse(DropReason.WINDOW_FULL)
        else:
            return True
        return False

    def _sort(self, fragment: Fragment) -> None:
        """Deliver a fragment, or keep it where it belongs."""
        deferred = self.deferred
        if deferred is not None and deferred.holds(fragment.tsn, fragment.stream_id):
            deferred.fragments.append(fragment)
            self._hold(1, len(fragment.payload))
            return
        tsn, stream_id, number, ppid, flags, payload = fragment
        if flags & WHOLE == WHOLE:
            self.runs.check_whole(tsn)
            message = MessageReceived(stream_id, ppid, payload)
            self._deliver(message, number, is_unordered=flags & UNORDERED != 0)
            return
        if self.runs.is_orphan(tsn, flags):
            self._drops[DropReason.SKIPPED_FRAGMENT] += 1
            return
        self._hold(1, len(payload))
        run = self.runs.add(fragment)
        if run is not None:
            self._hold(-len(run.payloads), -run.size)
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
            self._hold(1, len(message.data))
        else:
            self._events += messages
            if len(messages) > 1:
                self._release(messages[1:])

    def _hold(self, chunks: int, size: int) -> None:
        self.held_chunks += chunks
        self.held_bytes += size

    def _release(self, messages: Iterable[MessageReceived]) -> None:
        for message in messages:
            self._hold(-1, -len(message.data))

    # FORWARD TSN -----------------------------------------------------------------------------------------------------

    def receive_forward_tsn(self, new_cumulative_tsn: int, skipped: Iterable[tuple[int, int]]) -> None:
        """The peer has given up messages; all numbers are wrapped."""
        tracker = self.tracker
        self.was_touched = True
        tsn = tracker.unwrap(new_cumulative_tsn)
        # RFC 3758 §3.6: one that is out of date is answered with a SACK, as the last one may have been lost.
        self._is_urgent = True
        if tsn <= tracker.cumulative_tsn:
            self._drops[DropReason.OLD_FORWARD_TSN] += 1
            return
        if tsn - tracker.cumulative_tsn > self._max_tsn_distance:
            self._drops[DropReason.TSN_TOO_FAR] += 1
            return
        tracker.forward(tsn)
        for run in self.runs.skip(tsn):
            self._hold(-len(run.payloads), -run.size)
        for stream_id, stream_sequence_number in skipped:
            if self.deferred is not None and self.deferred.holds(tsn, stream_id):
                # What it skips may lie behind the reset, where numbers begin anew.
                self._perform_deferred()
            messages = self.order.skip(stream_id, stream_sequence_number)
            self._events += messages
            self._release(messages)
        if self.deferred is not None:
            self._perform_deferred()

    # Stream resets ---------------------------------------------------------------------------------------------------

    def reset_streams(self, last_tsn: int, stream_ids: Iterable[int]) -> bool | None:
        """The peer resets streams that it sends on.

        Args:
            last_tsn: the last TSN before the reset, wrapped.
            stream_ids: which; none means all.

        Returns:
            True when it is done, False when it has to wait for what is missing, None when the TSN cannot be.
        """
        tracker = self.tracker
        tsn = tracker.unwrap(last_tsn)
        if tsn - tracker.cumulative_tsn > self._max_tsn_distance:
            return None
        wanted = frozenset(stream_ids)
        if self.deferred is not None:
            # Asked again, or for more, before the first was done: one wait for all of it.
            pending = self.deferred
            is_all = not wanted or not pending.stream_ids
            pending.stream_ids = frozenset() if is_all else wanted | pending.stream_ids
            pending.last_tsn = max(pending.last_tsn, tsn)
        else:
            self.deferred = DeferredReset(tsn, wanted)
        self._perform_deferred()
        return self.deferred is None

    def _perform_deferred(self) -> None:
        deferred = self.deferred
        if deferred is None or self.tracker.cumulative_tsn < deferred.last_tsn:
            return
        self.deferred = None
        self._release(self.order.reset(deferred.stream_ids))
        self._events.append(StreamsReset(stream_ids=tuple(sorted(deferred.stream_ids))))
        # RFC 6525 §5.2.2 E4.
        for fragment in deferred.fragments:
            self._hold(-1, -len(fragment.payload))
            self._sort(fragment)

    # Acknowledging ---------------------------------------------------------------------------------------------------

    def packet_received(self, now: float) -> None:
        """A packet has been read to its end."""
        is_urgent = self._is_urgent or self.tracker.has_gap
        if self.announced < self._window // 4 * 3 and self.window_left - self.announced >= self._window // 4:
            # RFC 9260 §6.2: tell of a window that has opened by a quarter.
            is_urgent = True
        self.was_touched = self._is_urgent = False
        self.sacks.packet_received(now, is_urgent)

    def take_sack(self, room: int) -> Acknowledgement:
        """Say what has arrived, as of now.

        Args:
            room: bytes that the SACK may have.
        """
        tracker = self.tracker
        self.sacks.sent()
        self.announced = self.window_left
        blocks: Sequence[tuple[int, int]] = ()
        duplicates: Sequence[int] = ()
        if tracker.has_gap or tracker.duplicates:
            words = (room - _SACK_HEADER_SIZE) // 4
            duplicates = [tsn & 0xFFFF_FFFF for tsn in tracker.duplicates[:words]]
            tracker.duplicates.clear()
            # RFC 9260 §6.7: as many as fit, from the lowest on.
            blocks = tracker.gap_blocks(words - len(duplicates))
        return Acknowledgement(tracker.cumulative_tsn & 0xFFFF_FFFF, self.announced, blocks, duplicates)
