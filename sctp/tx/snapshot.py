"""The sending half as bytes: queues, chunks with their state, windows and timers.

A message that is sent in part is in its queue and, with its chunks, in what is outstanding: it is written once, in a
table, and referred to by its place there.
"""

from collections.abc import Sequence
from typing import TypeVar

from sctp.tx.message import ChunkState, OutgoingMessage, SentChunk
from sctp.tx.outstanding import OutstandingData
from sctp.tx.send_queue import SendQueue
from sctp.tx.sender import Sender
from sctp.tx.stream_queue import StreamQueue
from wire.buffer import Reader, Writer
from wire.errors import MalformedError
from wire.snapshot_fields import (
    read_flag,
    read_float,
    read_optional_number,
    read_optional_time,
    read_time,
    write_float,
    write_optional_number,
    write_optional_time,
    write_time,
)

__all__ = ["read_sender", "write_sender"]

_STATES = tuple(ChunkState)


def write_sender(writer: Writer, sender: Sender, now: float) -> None:
    """Write the sending half."""
    queue, outstanding, congestion, rto = sender.queue, sender.outstanding, sender.congestion, sender.rto
    waiting = [message for stream in queue.streams() for message in (*stream.messages, *stream.held)]
    table = {id(message): number for number, message in enumerate(waiting)}
    sent: list[OutgoingMessage] = []
    for chunk in outstanding.chunks:
        if id(chunk.message) not in table:
            table[id(chunk.message)] = len(table)
            sent.append(chunk.message)
    writer.u32(len(waiting) + len(sent), "messages")
    for message in waiting:
        _write_message(writer, message, message.data, now)
    for message in sent:
        # All of it has been cut into chunks.
        _write_message(writer, message, b"", now)
    _write_queue(writer, queue, table)
    _write_outstanding(writer, outstanding, table, now)
    writer.u64(congestion.window, "cwnd").u64(congestion.slow_start_threshold, "ssthresh")
    writer.u64(congestion.partial_bytes_acked, "partial_bytes_acked")
    write_optional_number(writer, congestion.recovery_exit)
    write_float(writer, rto.seconds)
    write_float(writer, rto.variation)
    write_optional_time(writer, rto.smoothed, 0.0)
    writer.u32(sender.peer_window.size, "a_rwnd").u16(sender.burst, "burst")
    for when in (
        sender.timer.deadline,
        sender.peer_window.probe.deadline,
        sender.last_sent,
        sender.peer_window.closed_since,
        sender.forwarding.sent_at,
    ):
        write_optional_time(writer, when, now)
    for flag in (
        sender.peer_window.may_probe,
        sender.has_heard,
        sender.ignores_window,
        sender.is_limited_to_one,
        sender.forwarding.is_due,
    ):
        writer.u8(flag)


def read_sender(reader: Reader, sender: Sender, now: float) -> None:
    """Fill a new sending half with what `write_sender` wrote.

    Raises:
        MalformedError: it is something else.
    """
    messages = [_read_message(reader, now) for _ in range(_count(reader, "messages"))]
    _read_queue(reader, sender.queue, messages)
    _read_outstanding(reader, sender.outstanding, messages, now)
    sender.outstanding.may_abandon = sender.queue.may_expire
    congestion, rto = sender.congestion, sender.rto
    congestion.window, congestion.slow_start_threshold = reader.u64("cwnd"), reader.u64("ssthresh")
    congestion.partial_bytes_acked = reader.u64("partial_bytes_acked")
    congestion.recovery_exit = read_optional_number(reader, "recovery_exit")
    rto.seconds, rto.variation = read_float(reader, "RTO"), read_float(reader, "RTTVAR")
    rto.smoothed = read_optional_time(reader, 0.0, "SRTT")
    sender.peer_window.size, sender.burst = reader.u32("a_rwnd"), reader.u16("burst")
    sender.timer.deadline = read_optional_time(reader, now, "T3-rtx")
    sender.peer_window.probe.deadline = read_optional_time(reader, now, "probe")
    sender.last_sent = read_optional_time(reader, now, "last_sent")
    sender.peer_window.closed_since = read_optional_time(reader, now, "closed_since")
    sender.forwarding.sent_at = read_optional_time(reader, now, "forward_tsn_sent")
    sender.peer_window.may_probe = read_flag(reader, "may_probe")
    sender.has_heard = read_flag(reader, "has_heard")
    sender.ignores_window = read_flag(reader, "ignores_window")
    sender.is_limited_to_one = read_flag(reader, "is_limited_to_one")
    sender.forwarding.is_due = read_flag(reader, "forward_tsn_due")


def _write_message(writer: Writer, message: OutgoingMessage, data: bytes, now: float) -> None:
    writer.u16(message.stream_id, "stream_id").u32(message.ppid, "ppid").u32(len(data), "length").octets(data)
    writer.u8(message.is_unordered | message.is_abandoned << 1).u64(message.stream_sequence_number, "ssn")
    writer.u32(message.position, "position")
    write_optional_number(writer, message.max_retransmits)
    write_optional_time(writer, message.expires_at, now)


def _read_message(reader: Reader, now: float) -> OutgoingMessage:
    stream_id, ppid, data = reader.u16("stream_id"), reader.u32("ppid"), reader.octets(reader.u32("length"), "data")
    flags, stream_sequence_number, position = reader.u8("flags"), reader.u64("ssn"), reader.u32("position")
    message = OutgoingMessage(
        stream_id,
        ppid,
        data,
        is_unordered=bool(flags & 1),
        max_retransmits=read_optional_number(reader, "max_retransmits"),
        expires_at=read_optional_time(reader, now, "expires_at"),
    )
    message.is_abandoned = bool(flags & 2)
    message.stream_sequence_number, message.position = stream_sequence_number, position
    return message


def _write_queue(writer: Writer, queue: SendQueue, table: dict[int, int]) -> None:
    streams = list(queue.streams())
    writer.u8(queue.may_expire).u64(queue.virtual_time, "virtual_time")
    write_optional_number(writer, queue.current_stream_id)
    writer.u32(len(streams), "streams")
    for stream in streams:
        writer.u16(stream.stream_id, "stream_id").u64(stream.next_ssn, "next_ssn").u64(stream.served, "served")
        writer.u8(stream.is_scheduled | stream.is_paused << 1)
        for messages in (stream.messages, stream.held):
            writer.u32(len(messages), "messages")
            for message in messages:
                writer.u32(table[id(message)], "message")


def _read_queue(reader: Reader, queue: SendQueue, messages: list[OutgoingMessage]) -> None:
    queue.may_expire, queue.virtual_time = read_flag(reader, "may_expire"), reader.u64("virtual_time")
    current = read_optional_number(reader, "current stream")
    streams = []
    at = reader.offset
    for _ in range(_count(reader, "streams")):
        stream = StreamQueue(reader.u16("stream_id"))
        stream.next_ssn, stream.served = reader.u64("next_ssn"), reader.u64("served")
        flags = reader.u8("flags")
        stream.is_scheduled, stream.is_paused = bool(flags & 1), bool(flags & 2)
        for target in (stream.messages, stream.held):
            for _ in range(_count(reader, "messages")):
                message = _at(messages, reader, "message")
                target.append(message)
                stream.buffered += len(message.data) - message.position
        streams.append(stream)
    if current is not None and not any(stream.stream_id == current and stream.messages for stream in streams):
        raise MalformedError("current stream", at, "is empty")
    if any(stream.is_scheduled and not stream.messages for stream in streams):
        raise MalformedError("streams", at, "an empty one is scheduled")
    queue.restore(streams, current)


def _write_outstanding(writer: Writer, outstanding: OutstandingData, table: dict[int, int], now: float) -> None:
    # TSNs are written without their wraps, from the initial TSN minus 1 on, which may be -1.
    writer.u64(outstanding.cumulative_tsn_ack + 1, "cumulative_tsn_ack")
    writer.u32(outstanding.advanced_peer_ack_point - outstanding.cumulative_tsn_ack, "advanced_peer_ack_point")
    write_optional_number(writer, outstanding.timed_tsn)
    writer.u32(len(outstanding.chunks), "chunks")
    for chunk in outstanding.chunks:
        writer.u32(table[id(chunk.message)], "message")
        writer.u8(_STATES.index(chunk.state)).u8(chunk.flags)
        write_optional_number(writer, None if chunk.fast_retransmitted_at < 0 else chunk.fast_retransmitted_at)
        writer.u8(chunk.misses, "misses").u32(chunk.transmissions, "transmissions")
        write_time(writer, chunk.sent_at, now)
        writer.vector(2, chunk.payload, "payload")


def _read_outstanding(
    reader: Reader, outstanding: OutstandingData, messages: list[OutgoingMessage], now: float
) -> None:
    cumulative = reader.u64("cumulative_tsn_ack") - 1
    outstanding.cumulative_tsn_ack = cumulative
    outstanding.advanced_peer_ack_point = cumulative + reader.u32("advanced_peer_ack_point")
    outstanding.timed_tsn = read_optional_number(reader, "timed_tsn")
    chunks = []
    at = reader.offset
    for number in range(_count(reader, "chunks")):
        message = _at(messages, reader, "message")
        state, flags = _at(_STATES, reader, "state", size=1), reader.u8("flags")
        fast_retransmitted_at = read_optional_number(reader, "fast_retransmitted_at")
        misses, transmissions = reader.u8("misses"), reader.u32("transmissions")
        sent_at = read_time(reader, now, "sent_at")
        chunk = SentChunk(
            cumulative + 1 + number,
            message,
            reader.vector(2, "payload").rest(),
            flags & 7,
            sent_at,
        )
        chunk.state, chunk.misses, chunk.transmissions = state, misses, transmissions
        if fast_retransmitted_at is not None:
            chunk.fast_retransmitted_at = fast_retransmitted_at
        chunks.append(chunk)
    outstanding.next_tsn = cumulative + 1 + len(chunks)
    if outstanding.advanced_peer_ack_point >= outstanding.next_tsn:
        raise MalformedError("advanced_peer_ack_point", at, "is ahead of everything")
    outstanding.restore(chunks)


_Item = TypeVar("_Item")


def _at(items: Sequence[_Item], reader: Reader, field: str, size: int = 4) -> _Item:
    """Read a place in a table, and return what is there."""
    at = reader.offset
    number = int.from_bytes(reader.octets(size, field), "big")
    if number >= len(items):
        raise MalformedError(field, at, f"there is no number {number}")
    return items[number]


def _count(reader: Reader, field: str) -> int:
    """Read how many items follow; each takes at least a byte."""
    at = reader.offset
    count = reader.u32(field)
    if count > len(reader):
        raise MalformedError(field, at, f"{count} do not fit")
    return count
