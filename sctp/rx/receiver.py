"""Everything that arrives as DATA or FORWARD TSN: what is new, what fits the window, and what the peer is told of it.

The receive window bounds memory: what `delivery` holds counts against it. A chunk that fills a gap is taken even when
the window is full, because only that frees memory again; the number of chunks is bounded by `max_tsn_distance` then.

Source: RFC 9260 §6.2, §6.5, §6.7; RFC 3758 §3.6; RFC 6525 §5.2.2.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sctp.causes.cause import Cause
from sctp.causes.invalid_stream_identifier import InvalidStreamIdentifier
from sctp.drops import DropReason
from sctp.options import SctpOptions
from sctp.rx.data_tracker import DataTracker
from sctp.rx.delivery import Delivery
from sctp.rx.sack_schedule import SackSchedule
from wire.core import Drops, Event

__all__ = ["Acknowledgement", "Receiver"]

_SACK_HEADER_SIZE = 16

_MAX_CAUSES = 4
"""Invalid streams reported per packet."""


class Acknowledgement(NamedTuple):
    """The fields of a SACK (`sctp.chunks.sack`), wrapped."""

    cumulative_tsn_ack: int
    a_rwnd: int
    gap_ack_blocks: Sequence[tuple[int, int]]
    duplicate_tsns: Sequence[int]


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
        delivery: what is held until it is a message whose turn it is.
        causes: errors that the peer is to be told.
        announced: the window that the last SACK has told.
        was_touched: whether the packet that is being read has DATA or FORWARD TSN.
    """

    __slots__ = (
        "_drops",
        "_inbound_streams",
        "_is_urgent",
        "_max_tsn_distance",
        "_slack",
        "_window",
        "announced",
        "causes",
        "delivery",
        "sacks",
        "tracker",
        "was_touched",
    )

    def __init__(
        self, options: SctpOptions, initial_tsn: int, inbound_streams: int, drops: Drops, events: list[Event]
    ) -> None:
        self._drops = drops
        self._inbound_streams = inbound_streams
        self._window = options.receive_window
        self._slack = options.max_message_size
        self._max_tsn_distance = options.max_tsn_distance
        self.tracker = DataTracker(initial_tsn)
        self.sacks = SackSchedule(options.sack_delay)
        self.delivery = Delivery(options.max_message_size, initial_tsn, drops, events)
        self.causes: list[Cause] = []
        self._is_urgent = False
        self.announced = self._window
        self.was_touched = False

    @property
    def window_left(self) -> int:
        """Bytes that the peer may still send (a_rwnd)."""
        return max(self._window - self.delivery.held_bytes, 0)

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
        tracker, delivery = self.tracker, self.delivery
        self.was_touched = True
        following = tracker.cumulative_tsn + 1
        if flags & 8:
            # §6.2: the I bit asks for a SACK without delay.
            self._is_urgent = True
        if tsn == following & 0xFFFF_FFFF and not tracker.has_gap:
            if delivery.held_bytes >= self._window or delivery.held_chunks >= self._max_tsn_distance:
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
        else:
            delivery.add(tsn, stream_id, stream_sequence_number, ppid, flags, payload)
        if delivery.deferred is not None:
            delivery.perform_deferred(tracker.cumulative_tsn)

    @property
    def _is_full(self) -> bool:
        delivery = self.delivery
        return delivery.held_bytes >= self._window or delivery.held_chunks >= self._max_tsn_distance

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
        elif self._is_full and (tsn > tracker.highest or self.delivery.held_bytes >= self._window + self._slack):
            # §6.2: with the window at 0, what is beyond the largest TSN MUST be dropped; what is before it is taken.
            self._refuse(DropReason.WINDOW_FULL)
        else:
            return True
        return False

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
        self.delivery.skip(tsn, skipped)
        self.delivery.perform_deferred(tracker.cumulative_tsn)

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
        delivery = self.delivery
        delivery.defer(tsn, frozenset(stream_ids))
        delivery.perform_deferred(tracker.cumulative_tsn)
        return delivery.deferred is None

    # Acknowledging ---------------------------------------------------------------------------------------------------

    def packet_received(self, now: float) -> None:
        """A packet has been read to its end."""
        if not self.sacks.is_due:
            is_urgent = self._is_urgent or self.tracker.has_gap
            if self.announced < self._window // 4 * 3 and self.window_left - self.announced >= self._window // 4:
                # RFC 9260 §6.2: tell of a window that has opened by a quarter.
                is_urgent = True
            self.sacks.packet_received(now, is_urgent)
        self.was_touched = self._is_urgent = False

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
