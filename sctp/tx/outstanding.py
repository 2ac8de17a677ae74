"""What was sent and is not cumulatively acknowledged: reading SACKs, finding losses, abandoning messages.

All TSNs here are unwrapped. The chunks lie in a deque without gaps: the one with TSN t is at t minus the cumulative
TSN ack minus 1.

Source: RFC 9260 §6.2.1, §6.7, §7.2.4; RFC 3758 §3.5.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import attrs

from sctp.tx.message import END, ChunkState, OutgoingMessage, SentChunk

__all__ = ["Acknowledgement", "OutstandingData"]

_MISSES = 3
"""RFC 9260 §7.2.4: the third consecutive miss indication is a loss."""

_IN_FLIGHT, _ACKED = ChunkState.IN_FLIGHT, ChunkState.ACKED
_TO_RETRANSMIT, _ABANDONED = ChunkState.TO_RETRANSMIT, ChunkState.ABANDONED


@attrs.define(slots=True)
class Acknowledgement:
    """What a SACK has told.

    Attributes:
        acked: bytes newly acknowledged, not counting what was abandoned.
        has_advanced: whether the cumulative TSN ack has advanced.
        highest_newly_acked: the highest TSN newly acknowledged; -1 when there is none.
        round_trip: seconds between sending a chunk once and its acknowledgement; None if nothing was measured.
        has_lost: whether chunks are now marked for fast retransmission.
    """

    acked: int = 0
    has_advanced: bool = False
    highest_newly_acked: int = -1
    round_trip: float | None = None
    has_lost: bool = False


class OutstandingData:
    """Chunks between the cumulative TSN ack and the next TSN.

    Args:
        initial_tsn: TSN of the first chunk.
        forget: called with a message that is abandoned; returns whether part of it was not cut into chunks yet.

    Attributes:
        cumulative_tsn_ack: all TSNs up to it have been acknowledged.
        next_tsn: TSN of the next new chunk.
        advanced_peer_ack_point: up to it everything is acknowledged or abandoned (RFC 3758 §3.5 A1).
        flight_size: bytes of chunks in flight.
        chunks: in the order of their TSNs.
        may_abandon: whether the peer knows FORWARD TSN.
        limited: how many chunks are of messages that may be abandoned.
        retransmissions: a heap of TSNs marked for retransmission; those in another state by now are skipped.
        timed_tsn: whose acknowledgement gives the next round trip; None while nothing is measured.
    """

    __slots__ = (
        "_acked_by_gap",
        "_forget",
        "advanced_peer_ack_point",
        "chunks",
        "cumulative_tsn_ack",
        "flight_size",
        "limited",
        "may_abandon",
        "next_tsn",
        "retransmissions",
        "timed_tsn",
    )

    def __init__(self, initial_tsn: int, forget: Callable[[OutgoingMessage], bool]) -> None:
        # RFC 9260 §5.1: one less than the initial TSN.
        self.cumulative_tsn_ack = initial_tsn - 1
        self.advanced_peer_ack_point = initial_tsn - 1
        self.next_tsn = initial_tsn
        self.flight_size = 0
        self.chunks: deque[SentChunk] = deque()
        self.may_abandon = False
        self._forget = forget
        self.retransmissions: list[int] = []
        self._acked_by_gap = 0
        self.limited = 0
        self.timed_tsn: int | None = None

    # Sending ---------------------------------------------------------------------------------------------------------

    def add(self, chunk: SentChunk) -> None:
        """A new chunk is sent; its TSN is `next_tsn`."""
        self.next_tsn += 1
        self.chunks.append(chunk)
        self.flight_size += chunk.size
        if chunk.message.is_limited:
            self.limited += 1
        if self.timed_tsn is None:
            # RFC 9260 §6.3.1 C4: one measurement a round trip.
            self.timed_tsn = chunk.tsn

    def next_retransmission(self) -> SentChunk | None:
        """Return the chunk with the lowest TSN that is marked for retransmission."""
        heap = self.retransmissions
        while heap:
            index = heap[0] - self.cumulative_tsn_ack - 1
            if index >= 0 and self.chunks[index].state is _TO_RETRANSMIT:
                return self.chunks[index]
            heapq.heappop(heap)
        return None

    def retransmit(self, chunk: SentChunk, now: float) -> None:
        """The chunk that `next_retransmission` returned is sent again."""
        heapq.heappop(self.retransmissions)
        chunk.state = _IN_FLIGHT
        chunk.misses = 0
        chunk.transmissions += 1
        chunk.sent_at = now
        if chunk.fast_retransmitted_at >= 0:
            chunk.fast_retransmitted_at = self.next_tsn
        self.flight_size += chunk.size
        # RFC 9260 §6.3.1 C5: nothing is measured with a chunk that was sent twice, nor with those behind it.
        self.timed_tsn = None

    # SACKs -----------------------------------------------------------------------------------------------------------

    def acknowledge(
        self, cumulative_tsn_ack: int, blocks: Sequence[tuple[int, int]], now: float, *, is_recovering: bool
    ) -> Acknowledgement:
        """Take in a SACK.

        Args:
            cumulative_tsn_ack: not below ours, and below `next_tsn`.
            blocks: first and last TSN of each gap block, sorted and apart; below `next_tsn`.
            now: the present.
            is_recovering: whether fast recovery is under way.
        """
        result = Acknowledgement()
        self._acknowledge_cumulatively(cumulative_tsn_ack, now, result)
        if blocks or self._acked_by_gap:
            missing = self._acknowledge_blocks(blocks, now, result)
            if missing and blocks:
                # §7.2.4: misses count only before the highest TSN newly acknowledged (HTNA), unless fast recovery is
                # under way and the cumulative TSN advances.
                everything = is_recovering and result.has_advanced
                limit = blocks[-1][1] if everything else result.highest_newly_acked
                self._count_misses(missing, limit, now, result)
        if self.advanced_peer_ack_point < self.cumulative_tsn_ack:
            # RFC 3758 §3.5 C1.
            self.advanced_peer_ack_point = self.cumulative_tsn_ack
        return result

    def _acknowledge_cumulatively(self, cumulative_tsn_ack: int, now: float, result: Acknowledgement) -> None:
        count = cumulative_tsn_ack - self.cumulative_tsn_ack
        if not count:
            return
        result.has_advanced = True
        popleft = self.chunks.popleft
        acked = in_flight = 0
        for _ in range(count):
            chunk = popleft()
            state = chunk.state
            if state is _IN_FLIGHT or state is _TO_RETRANSMIT:
                acked += chunk.size
                result.highest_newly_acked = chunk.tsn
                if state is _IN_FLIGHT:
                    in_flight += chunk.size
                    if chunk.tsn == self.timed_tsn:
                        self.timed_tsn = None
                        result.round_trip = now - chunk.sent_at
            elif state is _ACKED:
                self._acked_by_gap -= 1
            if chunk.message.is_limited:
                self.limited -= 1
        result.acked += acked
        self.flight_size -= in_flight
        self.cumulative_tsn_ack = cumulative_tsn_ack

    def _newly_acked(self, chunk: SentChunk, now: float, result: Acknowledgement) -> None:
        size = chunk.size
        self.flight_size -= size
        result.acked += size
        result.highest_newly_acked = chunk.tsn
        if chunk.tsn == self.timed_tsn:
            self.timed_tsn = None
            result.round_trip = now - chunk.sent_at

    def _acknowledge_blocks(
        self, blocks: Sequence[tuple[int, int]], now: float, result: Acknowledgement
    ) -> list[SentChunk]:
        """Mark what the blocks cover, and take back what they no longer cover; return what they miss."""
        missing: list[SentChunk] = []
        acked_left = self._acked_by_gap
        remaining = iter(blocks)
        first, last = next(remaining, (0, -1))
        for chunk in self.chunks:
            tsn = chunk.tsn
            if tsn > last:
                first, last = next(remaining, (first, last))
                if tsn > last and not acked_left:
                    break
            state = chunk.state
            if state is _ACKED:
                acked_left -= 1
            if first <= tsn <= last:
                if state is _IN_FLIGHT:
                    chunk.state = _ACKED
                    self._acked_by_gap += 1
                    self._newly_acked(chunk, now, result)
                elif state is _TO_RETRANSMIT:
                    chunk.state = _ACKED
                    self._acked_by_gap += 1
                    result.acked += chunk.size
                    result.highest_newly_acked = tsn
            elif state is _IN_FLIGHT:
                missing.append(chunk)
            elif state is _ACKED:
                # §6.2.1 D iii: the peer has taken it back.
                chunk.state = _IN_FLIGHT
                self._acked_by_gap -= 1
                self.flight_size += chunk.size
                missing.append(chunk)
        return missing

    def _count_misses(self, missing: list[SentChunk], limit: int, now: float, result: Acknowledgement) -> None:
        for chunk in missing:
            if chunk.tsn >= limit:
                break
            if chunk.state is not _IN_FLIGHT:
                continue  # abandoned with a chunk before it
            if result.highest_newly_acked < chunk.fast_retransmitted_at:
                # DEVIATES: by §7.2.4 (5) only the timer may send it a third time, for the SACKs of what was sent before
                # its retransmission say nothing about that. Those of what was sent behind it do; and where a tenth is
                # lost, waiting for the timer would make large messages take three times as long.
                continue
            chunk.misses += 1
            if chunk.misses >= _MISSES:
                chunk.fast_retransmitted_at = self.next_tsn
                # RFC 3758 §3.5 F5: a loss is a loss for congestion control, also if the chunk is abandoned.
                result.has_lost = True
                self._lose(chunk, now)

    # Losses ----------------------------------------------------------------------------------------------------------

    def lose_all(self, now: float) -> None:
        """The timer expired: all that is in flight is lost (RFC 9260 §6.3.3 E3)."""
        for chunk in list(self.chunks):
            if chunk.state is _IN_FLIGHT:
                self._lose(chunk, now)
        self.timed_tsn = None

    def _lose(self, chunk: SentChunk, now: float) -> None:
        if self.may_abandon and self._is_spent(chunk, now):
            self._abandon(chunk.message, chunk.tsn)
            return
        chunk.state = _TO_RETRANSMIT
        chunk.misses = 0
        self.flight_size -= chunk.size
        heapq.heappush(self.retransmissions, chunk.tsn)

    @staticmethod
    def _is_spent(chunk: SentChunk, now: float) -> bool:
        message = chunk.message
        limit = message.max_retransmits
        return message.has_expired(now) or (limit is not None and chunk.transmissions > limit)

    # Partial reliability ---------------------------------------------------------------------------------------------

    def abandon_expired(self, now: float) -> None:
        """Abandon messages whose lifetime is over (RFC 3758 §4.1)."""
        if not self.limited or not self.may_abandon:
            return
        for chunk in list(self.chunks):
            if chunk.state is not _ABANDONED and chunk.state is not _ACKED and chunk.message.has_expired(now):
                self._abandon(chunk.message, chunk.tsn)

    def _abandon(self, message: OutgoingMessage, tsn: int) -> None:
        """Abandon a message of which a chunk has that TSN, and all its other chunks (RFC 3758 §3.5 A3)."""
        message.is_abandoned = True
        base = self.cumulative_tsn_ack + 1
        start = tsn - base
        while start > 0 and self.chunks[start - 1].message is message:
            start -= 1
        for chunk in islice(self.chunks, start, None):
            if chunk.message is not message:
                break
            if chunk.state is _IN_FLIGHT:
                self.flight_size -= chunk.size
            elif chunk.state is _ACKED:
                self._acked_by_gap -= 1
            chunk.state = _ABANDONED
        if self._forget(message):
            # The peer may hold all that was sent and wait for the rest: a TSN more, that it never sees, lets the
            # FORWARD TSN reach beyond what it holds.
            timed_tsn = self.timed_tsn
            stand_in = SentChunk(self.next_tsn, message, b"", END, 0.0)
            self.add(stand_in)
            stand_in.state = _ABANDONED
            self.flight_size -= stand_in.size
            self.timed_tsn = timed_tsn

    def advance(self) -> None:
        """Move the advanced peer ack point over what is abandoned (RFC 3758 §3.5 C2)."""
        for chunk in islice(self.chunks, self.advanced_peer_ack_point - self.cumulative_tsn_ack, None):
            if chunk.state is not _ABANDONED:
                break
            self.advanced_peer_ack_point = chunk.tsn

    def skipped(self) -> Iterator[SentChunk]:
        """The chunks that a FORWARD TSN has to tell of."""
        return islice(self.chunks, self.advanced_peer_ack_point - self.cumulative_tsn_ack)

    def restore(self, chunks: Iterable[SentChunk]) -> None:
        """Put back the chunks of a snapshot; the numbers are set by whoever reads it."""
        self.chunks.extend(chunks)
        states = [chunk.state for chunk in self.chunks]
        self.flight_size = sum(chunk.size for chunk in self.chunks if chunk.state is _IN_FLIGHT)
        self._acked_by_gap = states.count(_ACKED)
        self.limited = sum(chunk.message.is_limited for chunk in self.chunks)
        self.retransmissions = [chunk.tsn for chunk in self.chunks if chunk.state is _TO_RETRANSMIT]

    @property
    def needs_forward_tsn(self) -> bool:
        """Whether the peer has to be told to wait no longer (RFC 3758 §3.5 C3)."""
        return self.advanced_peer_ack_point > self.cumulative_tsn_ack

    @property
    def is_empty(self) -> bool:
        """Whether everything is acknowledged."""
        return not self.chunks
