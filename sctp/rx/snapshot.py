"""The receiving half as bytes: what has arrived, what is held, and what is owed."""

from sctp.events import MessageReceived
from sctp.rx.delivery import DeferredReset
from sctp.rx.fragments import Fragment
from sctp.rx.receiver import Receiver
from wire.buffer import Reader, Writer
from wire.errors import MalformedError, RemoteProtocolError
from wire.snapshot_fields import read_flag, read_optional_time, write_optional_time

__all__ = ["read_receiver", "write_receiver"]


def write_receiver(writer: Writer, receiver: Receiver, now: float) -> None:
    """Write the receiving half."""
    tracker, sacks, delivery = receiver.tracker, receiver.sacks, receiver.delivery
    # The initial TSN minus 1 may be -1.
    writer.u64(tracker.cumulative_tsn + 1, "cumulative_tsn")
    islands = tracker.islands()
    writer.u32(len(islands), "islands")
    for first, last in islands:
        writer.u64(first, "first").u64(last, "last")
    writer.u8(len(tracker.duplicates), "duplicates")
    for tsn in tracker.duplicates:
        writer.u64(tsn + _OFFSET, "duplicate")
    writer.u8(sacks.is_due | sacks.is_owed << 1 | sacks.has_acknowledged << 2)
    write_optional_time(writer, sacks.timer.deadline, now)
    writer.u64(delivery.runs.skipped_up_to + 1, "skipped_up_to").u32(receiver.announced, "announced")
    _write_fragments(writer, list(delivery.runs.fragments()))
    expected, waiting = list(delivery.order.expected()), list(delivery.order.waiting())
    writer.u32(len(expected), "streams")
    for stream_id, number in expected:
        writer.u16(stream_id, "stream_id").u64(number, "next number")
    writer.u32(len(waiting), "messages")
    for number, message in waiting:
        writer.u64(number, "number").u16(message.stream_id, "stream_id").u32(message.ppid, "ppid")
        writer.u32(len(message.data), "length").octets(message.data)
    deferred = delivery.deferred
    writer.u8(deferred is not None)
    if deferred is not None:
        writer.u64(deferred.last_tsn, "last_tsn").u32(len(deferred.stream_ids), "streams")
        for stream_id in sorted(deferred.stream_ids):
            writer.u16(stream_id, "stream_id")
        _write_fragments(writer, deferred.fragments)


_OFFSET = 1 << 32
"""A duplicate may be older than the first TSN, and unwraps to less than 0 then."""


def read_receiver(reader: Reader, receiver: Receiver, now: float) -> None:
    """Fill a new receiving half with what `write_receiver` wrote.

    Raises:
        MalformedError: it is something else.
    """
    tracker, sacks, delivery = receiver.tracker, receiver.sacks, receiver.delivery
    at = reader.offset
    tracker.cumulative_tsn = reader.u64("cumulative_tsn") - 1
    tracker.restore_islands([(reader.u64("first"), reader.u64("last")) for _ in range(_count(reader, "islands"))])
    tracker.duplicates = [reader.u64("duplicate") - _OFFSET for _ in range(reader.u8("duplicates"))]
    flags = reader.u8("flags")
    sacks.is_due, sacks.is_owed, sacks.has_acknowledged = bool(flags & 1), bool(flags & 2), bool(flags & 4)
    sacks.timer.deadline = read_optional_time(reader, now, "SACK timer")
    delivery.runs.skipped_up_to = reader.u64("skipped_up_to") - 1
    receiver.announced = reader.u32("announced")
    try:
        for fragment in _read_fragments(reader):
            delivery.runs.add(fragment)
            delivery.hold(1, len(fragment.payload))
    except MalformedError:
        raise
    except RemoteProtocolError as error:
        raise MalformedError("fragments", at, str(error)) from error
    expected = [(reader.u16("stream_id"), reader.u64("next number")) for _ in range(_count(reader, "streams"))]
    waiting = []
    for _ in range(_count(reader, "messages")):
        number, stream_id, ppid = reader.u64("number"), reader.u16("stream_id"), reader.u32("ppid")
        message = MessageReceived(stream_id, ppid, reader.octets(reader.u32("length"), "data"))
        waiting.append((number, message))
        delivery.hold(1, len(message.data))
    delivery.order.restore(expected, waiting)
    if read_flag(reader, "deferred"):
        last_tsn = reader.u64("last_tsn")
        stream_ids = frozenset(reader.u16("stream_id") for _ in range(_count(reader, "streams")))
        delivery.deferred = DeferredReset(last_tsn, stream_ids, _read_fragments(reader))
        for fragment in delivery.deferred.fragments:
            delivery.hold(1, len(fragment.payload))


def _write_fragments(writer: Writer, fragments: list[Fragment]) -> None:
    writer.u32(len(fragments), "fragments")
    for fragment in fragments:
        writer.u64(fragment.tsn, "tsn").u16(fragment.stream_id, "stream_id")
        writer.u16(fragment.stream_sequence_number, "stream_sequence_number").u32(fragment.ppid, "ppid")
        writer.u8(fragment.flags, "flags")
        writer.vector(2, fragment.payload, "payload")


def _read_fragments(reader: Reader) -> list[Fragment]:
    fragments = []
    for _ in range(_count(reader, "fragments")):
        tsn, stream_id = reader.u64("tsn"), reader.u16("stream_id")
        number, ppid, flags = reader.u16("stream_sequence_number"), reader.u32("ppid"), reader.u8("flags")
        fragments.append(Fragment(tsn, stream_id, number, ppid, flags, reader.vector(2, "payload").rest()))
    return fragments


def _count(reader: Reader, field: str) -> int:
    """Read how many items follow; each takes at least a byte."""
    at = reader.offset
    count = reader.u32(field)
    if count > len(reader):
        raise MalformedError(field, at, f"{count} do not fit")
    return count
