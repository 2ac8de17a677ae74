"""What a SACK tells of what is outstanding: what has arrived, and what has been missed too often.

Source: RFC 9260 §6.2.1, §6.3.1, §6.7, §7.2.4.
"""

from collections.abc import Sequence

import attrs

from sctp.tx.message import ChunkState, SentChunk
from sctp.tx.outstanding import OutstandingData

__all__ = ["Acknowledgement", "acknowledge"]

_MISSES = 3
"""RFC 9260 §7.2.4: the third consecutive miss indication is a loss."""

_IN_FLIGHT, _ACKED, _TO_RETRANSMIT = ChunkState.IN_FLIGHT, ChunkState.ACKED, ChunkState.TO_RETRANSMIT


@attrs.define
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


def acknowledge(
    outstanding: OutstandingData,
    cumulative_tsn_ack: int,
    blocks: Sequence[tuple[int, int]],
    now: float,
    *,
    is_recovering: bool,
) -> Acknowledgement:
    """Take in a SACK.

    Args:
        outstanding: what it is about.
        cumulative_tsn_ack: not below that of `outstanding`, and below its `next_tsn`.
        blocks: first and last TSN of each gap block, sorted and apart; below `next_tsn`.
        now: the present.
        is_recovering: whether fast recovery is under way.
    """
    result = Acknowledgement()
    if cumulative_tsn_ack > outstanding.cumulative_tsn_ack:
        _acknowledge_cumulatively(outstanding, cumulative_tsn_ack, now, result)
    if blocks or outstanding.acked_by_gap:
        missing = _acknowledge_blocks(outstanding, blocks, now, result)
        if missing and blocks:
            # §7.2.4: misses count only before the highest TSN newly acknowledged (HTNA), unless fast recovery is
            # under way and the cumulative TSN advances.
            everything = is_recovering and result.has_advanced
            limit = blocks[-1][1] if everything else result.highest_newly_acked
            _count_misses(outstanding, missing, limit, now, result)
    if outstanding.advanced_peer_ack_point < outstanding.cumulative_tsn_ack:
        # RFC 3758 §3.5 C1.
        outstanding.advanced_peer_ack_point = outstanding.cumulative_tsn_ack
    return result


def _acknowledge_cumulatively(
    outstanding: OutstandingData, cumulative_tsn_ack: int, now: float, result: Acknowledgement
) -> None:
    popleft, timed_tsn, is_any_limited = outstanding.chunks.popleft, outstanding.timed_tsn, outstanding.limited
    acked = in_flight = 0
    highest = -1
    for tsn in range(outstanding.cumulative_tsn_ack + 1, cumulative_tsn_ack + 1):
        chunk = popleft()
        state = chunk.state
        if state is _IN_FLIGHT:
            in_flight += chunk.size
            highest = tsn
            if tsn == timed_tsn:
                outstanding.timed_tsn = None
                result.round_trip = now - chunk.sent_at
        elif state is _TO_RETRANSMIT:
            acked += chunk.size
            highest = tsn
        elif state is _ACKED:
            outstanding.acked_by_gap -= 1
        if is_any_limited and chunk.message.is_limited:
            outstanding.limited -= 1
    result.has_advanced = True
    result.highest_newly_acked = highest
    result.acked = acked + in_flight
    outstanding.flight_size -= in_flight
    outstanding.cumulative_tsn_ack = cumulative_tsn_ack


def _acknowledge_blocks(
    outstanding: OutstandingData, blocks: Sequence[tuple[int, int]], now: float, result: Acknowledgement
) -> list[SentChunk]:
    """Mark what the blocks cover, and take back what they no longer cover; return what they miss."""
    missing: list[SentChunk] = []
    acked_left = outstanding.acked_by_gap
    remaining = iter(blocks)
    first, last = next(remaining, (0, -1))
    for chunk in outstanding.chunks:
        tsn = chunk.tsn
        if tsn > last:
            first, last = next(remaining, (first, last))
            if tsn > last and not acked_left:
                break
        state = chunk.state
        if state is _ACKED:
            acked_left -= 1
        if first <= tsn <= last:
            if state is _IN_FLIGHT or state is _TO_RETRANSMIT:
                chunk.state = _ACKED
                outstanding.acked_by_gap += 1
                result.acked += chunk.size
                result.highest_newly_acked = tsn
                if state is _IN_FLIGHT:
                    outstanding.flight_size -= chunk.size
                    if tsn == outstanding.timed_tsn:
                        outstanding.timed_tsn = None
                        result.round_trip = now - chunk.sent_at
        elif state is _IN_FLIGHT:
            missing.append(chunk)
        elif state is _ACKED:
            # §6.2.1 D iii: the peer has taken it back.
            chunk.state = _IN_FLIGHT
            outstanding.acked_by_gap -= 1
            outstanding.flight_size += chunk.size
            missing.append(chunk)
    return missing


def _count_misses(
    outstanding: OutstandingData, missing: Sequence[SentChunk], limit: int, now: float, result: Acknowledgement
) -> None:
    for chunk in missing:
        if chunk.tsn >= limit:
            break
        if chunk.state is not _IN_FLIGHT:
            continue  # abandoned with a chunk before it
        if result.highest_newly_acked < chunk.fast_retransmitted_at:
            # DEVIATES: by §7.2.4 (5) only the timer may send it a third time, for the SACKs of what was sent before its
            # retransmission say nothing about that. Those of what was sent behind it do; and where a tenth is lost,
            # waiting for the timer would make large messages take three times as long.
            continue
        chunk.misses += 1
        if chunk.misses >= _MISSES:
            chunk.fast_retransmitted_at = outstanding.next_tsn
            # RFC 3758 §3.5 F5: a loss is a loss for congestion control, also if the chunk is abandoned.
            result.has_lost = True
            outstanding.lose(chunk, now)
