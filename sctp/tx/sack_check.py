"""Whether a SACK may be believed, before anything is changed by it.

A peer could acknowledge what was never sent, to make us send faster or to confuse us; or say the same ten thousand
times. What comes out of here is within what is outstanding, sorted, and without overlaps: reading it costs no more
than the flight is long.
"""

from collections.abc import Sequence

from sctp.drops import DropReason
from sctp.tx.outstanding import OutstandingData

__all__ = ["check_sack"]


def check_sack(
    outstanding: OutstandingData, cumulative_tsn_ack: int, gap_ack_blocks: Sequence[tuple[int, int]]
) -> tuple[int, list[tuple[int, int]]] | DropReason:
    """Unwrap a SACK.

    Args:
        outstanding: what may be acknowledged.
        cumulative_tsn_ack: wrapped.
        gap_ack_blocks: first and last of each, as offsets from the cumulative TSN ack.

    Returns:
        The cumulative TSN ack and the blocks, unwrapped; or why the SACK is dropped.
    """
    # Unwrapped without an `Unwrapper`, for speed: how far it is ahead of what was acknowledged.
    ahead = (cumulative_tsn_ack - outstanding.cumulative_tsn_ack) & 0xFFFF_FFFF
    if ahead >= 0x8000_0000:
        # RFC 9260 §6.2.1 D i: it was overtaken.
        return DropReason.OLD_SACK
    cumulative = outstanding.cumulative_tsn_ack + ahead
    if cumulative >= outstanding.next_tsn:
        return DropReason.SACK_OF_UNSENT
    merged: list[tuple[int, int]] = []
    if not gap_ack_blocks:
        return cumulative, merged
    for start, end in sorted(gap_ack_blocks):
        first, last = cumulative + start, cumulative + end
        if start == 0 or first > last or last >= outstanding.next_tsn:
            return DropReason.SACK_OF_UNSENT
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return cumulative, merged
