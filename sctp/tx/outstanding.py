"""What was sent and is not cumulatively acknowledged: what is lost of it, and what is abandoned.

All TSNs here are unwrapped. The chunks lie in a deque without gaps: the one with TSN t is at t minus the cumulative
TSN ack minus 1.

Source: RFC 9260 §6.1, §6.3; RFC 3758 §3.5.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from sctp.tx.message import END, ChunkState, OutgoingMessage, SentChunk

__all__ = ["OutstandingData"]

_IN_FLIGHT, _ACKED = ChunkState.IN_FLIGHT, ChunkState.ACKED
_TO_RETRANSMIT, _ABANDONED = ChunkState.TO_RETRANSMIT, ChunkState.ABANDONED


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
        acked_by_gap: how many chunks are acknowledged by gap blocks only.
        chunks: in the order of their TSNs.
        may_abandon: whether the peer knows FORWARD TSN.
        limited: how many chunks are of messages that may be abandoned.
        retransmissions: a heap of TSNs marked for retransmission; those in another state by now are skipped.
        timed_tsn: whose acknowledgement gives the next round trip; None while nothing is measured.
    """

    __slots__ = (
        "_forget",
        "acked_by_gap",
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
        self.acked_by_gap = 0
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

    def add_series(
        self, message: OutgoingMessage, payloads: Iterable[bytes], flags: int, now: float
    ) -> list[SentChunk]:
        """New chunks of one message, which is not limited, are sent; all have the same size. Return them."""
        chunks = [SentChunk(tsn, message, payload, flags, now) for tsn, payload in enumerate(payloads, self.next_tsn)]
        if self.timed_tsn is None:
            self.timed_tsn = self.next_tsn
        self.next_tsn += len(chunks)
        self.chunks += chunks
        self.flight_size += len(chunks) * chunks[0].size
        return chunks

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

    # Losses ----------------------------------------------------------------------------------------------------------

    def lose_all(self, now: float) -> None:
        """The timer expired: all that is in flight is lost (RFC 9260 §6.3.3 E3)."""
        for chunk in list(self.chunks):
            if chunk.state is _IN_FLIGHT:
                self.lose(chunk, now)
        self.timed_tsn = None

    def lose(self, chunk: SentChunk, now: float) -> None:
        """A chunk in flight is lost: mark it for retransmission, or abandon its message."""
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
                self.acked_by_gap -= 1
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
        self.acked_by_gap = states.count(_ACKED)
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
