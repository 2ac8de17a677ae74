"""What a packet of DATA is filled with: first what was lost, then what is new, as far as both windows allow.

Source: RFC 9260 §6.1, §6.3, §7.2.
"""

from sctp.tx.message import BEGINNING, DATA_HEADER_SIZE, END, UNORDERED, SentChunk, chunk_size
from sctp.tx.sender import Sender

__all__ = ["compose", "has_something"]

_MIN_FRAGMENT = 256
"""Bytes below which the rest of a packet is not filled with the beginning of a message: 16 for each header add up."""


def compose(sender: Sender, room: int, now: float) -> list[SentChunk]:
    """Choose the DATA chunks of one packet, in the order of their TSNs.

    Args:
        sender: whose turn it is to send.
        room: bytes that are left in the packet, a multiple of 4.
        now: the present.
    """
    outstanding = sender.outstanding
    chunks: list[SentChunk] = []
    if outstanding.limited:
        outstanding.abandon_expired(now)
    is_burst_over = sender.burst <= 0
    if not outstanding.retransmissions and (is_burst_over or sender.queue.is_empty):
        return chunks
    if _is_window_shut(sender):
        return chunks
    # §6.1 C: what is marked for retransmission goes first.
    if outstanding.retransmissions:
        room = _add_lost(sender, chunks, room, now)
    if not is_burst_over and _add_new(sender, chunks, room, now):
        sender.sent_new(1, now)
    elif chunks:
        sender.start_timer(now)
        sender.last_sent = now
    return chunks


def has_something(sender: Sender, now: float) -> bool:
    """Whether `compose` would return anything for an empty packet."""
    outstanding = sender.outstanding
    if outstanding.is_empty and sender.queue.is_empty:
        return False
    if _is_window_shut(sender):
        return False
    if outstanding.next_retransmission() is not None:
        return True
    message = sender.queue.next_message(now) if sender.burst > 0 else None
    return message is not None and _may_send(sender, len(message.data) - message.position, now)


def _add_lost(sender: Sender, chunks: list[SentChunk], room: int, now: float) -> int:
    """Add what is marked for retransmission; return the room that is left for what is new."""
    outstanding = sender.outstanding
    while (chunk := outstanding.next_retransmission()) is not None:
        if chunk.size > room:
            return 0
        if chunk.tsn == outstanding.cumulative_tsn_ack + 1:
            # §6.1: the timer MUST be restarted if the earliest outstanding chunk is sent again.
            sender.timer.stop()
        outstanding.retransmit(chunk, now)
        chunks.append(chunk)
        room -= chunk.size
        sender.ignores_window = False
    return room


def _add_new(sender: Sender, chunks: list[SentChunk], room: int, now: float) -> bool:
    """Add new chunks as far as they fit; return whether there are any."""
    outstanding, queue, window = sender.outstanding, sender.queue, sender.peer_window
    if not queue.is_empty:
        sender.forget_path(now)
    has_added = False
    packet_size = sender.congestion.packet_size
    while room > DATA_HEADER_SIZE and (message := queue.next_message(now)) is not None:
        position = message.position
        left = len(message.data) - position
        limit = room - DATA_HEADER_SIZE
        if left > limit and limit < _MIN_FRAGMENT:
            break
        if window.size - outstanding.flight_size < packet_size and not _may_send(sender, left, now):
            break
        flags = UNORDERED if message.is_unordered else 0
        if not position:
            flags |= BEGINNING
        if left <= limit:
            flags |= END
        chunk = SentChunk(outstanding.next_tsn, message, queue.cut(limit), flags, now)
        outstanding.add(chunk)
        chunks.append(chunk)
        room -= chunk.size
        has_added = True
    return has_added


def _is_window_shut(sender: Sender) -> bool:
    """Whether the path's window forbids even one packet more."""
    flight = sender.outstanding.flight_size
    # RFC 9260 §6.1 B: a packet may exceed cwnd, if the flight does not reach it yet. §7.2.3: after a timeout, one
    # packet and no more until it is answered.
    is_shut = flight >= sender.congestion.window or (sender.is_limited_to_one and flight > 0)
    return is_shut and not sender.ignores_window


def _may_send(sender: Sender, left: int, now: float) -> bool:
    """Whether the peer's window lets a new chunk out, as a probe if need be.

    Args:
        sender: whose turn it is to send.
        left: bytes that are left of the message whose turn it is.
        now: the present.
    """
    outstanding, window = sender.outstanding, sender.peer_window
    if window.size - outstanding.flight_size >= min(chunk_size(left), sender.congestion.packet_size):
        return True
    return outstanding.is_empty and window.admits_probe(now, sender.rto.seconds)
