"""The middle of a large message: chunks that fill a packet each and differ in nothing but TSN and user data.

Nearly all packets of a transfer are such. `composing` would choose the same, packet by packet and with all the
questions that each may raise; here they are asked once for as many packets as may go out now. See the numbers in
`docs/benchmarks.md`.
"""

from collections.abc import Sequence

from sctp.tx.message import DATA_HEADER_SIZE, UNORDERED, SentChunk
from sctp.tx.sender import Sender

__all__ = ["take_series"]


def take_series(sender: Sender, room: int, now: float) -> Sequence[SentChunk]:
    """Choose the next chunks, if they are from the middle of a message.

    Args:
        sender: whose turn it is to send.
        room: bytes of each packet for its chunk, a multiple of 4.
        now: the present.

    Returns:
        The chunks, each for a packet of its own; none where `compose` has to look closer: at a message's
        beginning and end, after a loss, and at what may be abandoned.
    """
    outstanding = sender.outstanding
    message = sender.queue.under_way
    if message is None or message.is_limited or outstanding.limited or outstanding.retransmissions:
        return ()
    if sender.is_limited_to_one:
        return ()
    size, flight = room - DATA_HEADER_SIZE, outstanding.flight_size
    if not flight:
        sender.forget_path(now)
    count = min(
        sender.burst,
        # The last one has the E bit.
        (len(message.data) - message.position - 1) // size,
        (sender.peer_window.size - flight) // room,
        # RFC 9260 §6.1 B: a packet may exceed cwnd, if the flight does not reach it yet.
        (sender.congestion.window - flight + room - 1) // room,
    )
    if count <= 0:
        return ()
    flags = UNORDERED if message.is_unordered else 0
    chunks = outstanding.add_series(message, sender.queue.cut_series(size, count), flags, now)
    sender.sent_new(count, now)
    return chunks
