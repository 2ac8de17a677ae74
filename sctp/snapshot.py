"""A whole association as bytes, to go on exactly here in another process.

It holds what is queued, what is under way with the state of every chunk, what waits for reassembly, timers as
distances from the present, and packets that were ready and not taken. It also holds the cookie key and people's
messages: whoever stores it encrypts it. The first byte is the version of the format; a reader refuses others.

Only one process may go on. The reader has to be given the same options as the writer had.
"""

from sctp.control_block import ControlBlock
from sctp.heartbeats import Heartbeats, Question
from sctp.outbox import Outbox
from sctp.parameters.outgoing_ssn_reset_request import OutgoingSsnResetRequest
from sctp.parameters.reconfiguration_response import ReconfigurationResult
from sctp.parts import Parts
from sctp.rx.snapshot import read_receiver, write_receiver
from sctp.states import State
from sctp.stream_reset import StreamResets
from sctp.terms import Terms
from sctp.timers import BackoffTimer
from sctp.tx.snapshot import read_sender, write_sender
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

__all__ = ["read_snapshot", "write_snapshot"]

_FORMAT = 1
_STATES = tuple(State)


def write_snapshot(parts: Parts, now: float) -> bytes:
    """Write an association that has not ended."""
    writer = Writer().u8(_FORMAT)
    _write_block(writer, parts.block)
    writer.vector(1, parts.jar.key, "key")
    write_time(writer, parts.jar.epoch, now)
    _write_outbox(writer, parts.block.outbox)
    write_sender(writer, parts.block.sender, now)
    if parts.block.receiver is not None:
        write_receiver(writer, parts.block.receiver, now)
    _write_backoff(writer, parts.handshake.timer, now)
    writer.vector(2, parts.handshake.cookie_echo, "cookie_echo")
    writer.u8(parts.handshake.is_echo_due).u32(parts.handshake.stale_cookies, "stale_cookies")
    write_time(writer, parts.handshake.sent_at, now)
    _write_backoff(writer, parts.shutdown.timer, now)
    write_optional_time(writer, parts.shutdown.guard.deadline, now)
    _write_resets(writer, parts.resets, now)
    _write_heartbeats(writer, parts.heartbeats, now)
    return writer.finish()


def read_snapshot(data: bytes, parts: Parts, now: float) -> None:
    """Fill a new association with what `write_snapshot` wrote.

    Raises:
        MalformedError: it is something else, or of another format.
    """
    reader = Reader(data)
    if (number := reader.u8("format")) != _FORMAT:
        raise MalformedError("format", 0, f"format {number} is not known")
    _read_block(reader, parts.block)
    parts.jar.key = reader.vector(1, "key").rest()
    parts.jar.epoch = read_time(reader, now, "epoch")
    _read_outbox(reader, parts.block.outbox)
    read_sender(reader, parts.block.sender, now)
    if parts.block.receiver is not None:
        read_receiver(reader, parts.block.receiver, now)
    _read_backoff(reader, parts.handshake.timer, now)
    parts.handshake.cookie_echo = reader.vector(2, "cookie_echo").rest()
    parts.handshake.is_echo_due = read_flag(reader, "is_echo_due")
    parts.handshake.stale_cookies = reader.u32("stale_cookies")
    parts.handshake.sent_at = read_time(reader, now, "sent_at")
    _read_backoff(reader, parts.shutdown.timer, now)
    parts.shutdown.guard.deadline = read_optional_time(reader, now, "guard")
    _read_resets(reader, parts.resets, now)
    _read_heartbeats(reader, parts.heartbeats, now)
    reader.finish("snapshot")


def _write_block(writer: Writer, block: ControlBlock) -> None:
    writer.u8(_STATES.index(block.state), "state")
    writer.u32(block.local_tag, "local_tag").u32(block.local_initial_tsn, "local_initial_tsn")
    writer.u32(block.tie_tags[0], "local_tie_tag").u32(block.tie_tags[1], "peer_tie_tag")
    writer.u32(block.errors, "errors").u64(block.peer_max_message_size, "peer_max_message_size")
    writer.u8(block.terms is not None)
    if block.terms is not None:
        block.terms.serialize(writer)


def _read_block(reader: Reader, block: ControlBlock) -> None:
    at = reader.offset
    state = reader.u8("state")
    if state >= len(_STATES):
        raise MalformedError("state", at, f"there is no state {state}")
    local_tag, local_initial_tsn = reader.u32("local_tag"), reader.u32("local_initial_tsn")
    tie_tags = reader.u32("local_tie_tag"), reader.u32("peer_tie_tag")
    errors, peer_max_message_size = reader.u32("errors"), reader.u64("peer_max_message_size")
    if read_flag(reader, "has terms"):
        block.adopt(Terms.parse(reader))
    block.state = _STATES[state]
    block.local_tag, block.local_initial_tsn, block.tie_tags = local_tag, local_initial_tsn, tie_tags
    block.errors, block.peer_max_message_size = errors, peer_max_message_size


def _write_outbox(writer: Writer, outbox: Outbox) -> None:
    writer.vector(2, outbox.first, "first")
    for items in (outbox.control, outbox.packets):
        writer.u16(len(items), "count")
        for item in items:
            writer.vector(2, item, "item")


def _read_outbox(reader: Reader, outbox: Outbox) -> None:
    outbox.first = reader.vector(2, "first").rest()
    outbox.control.extend(reader.vector(2, "control").rest() for _ in range(reader.u16("count")))
    outbox.packets.extend(reader.vector(2, "packet").rest() for _ in range(reader.u16("count")))


def _write_backoff(writer: Writer, timer: BackoffTimer, now: float) -> None:
    writer.u32(timer.expirations, "expirations")
    write_optional_time(writer, timer.deadline, now)


def _read_backoff(reader: Reader, timer: BackoffTimer, now: float) -> None:
    timer.expirations = reader.u32("expirations")
    timer.deadline = read_optional_time(reader, now, "deadline")


def _write_resets(writer: Writer, resets: StreamResets, now: float) -> None:
    writer.u32(resets.next_number, "next_number").u32(resets.expected_number, "expected_number")
    writer.u8(resets.last_result).u8(resets.is_answer_deferred).u8(resets.has_progress_answer)
    write_optional_number(writer, resets.answering)
    write_optional_time(writer, resets.timer.deadline, now)
    write_float(writer, resets.wait)
    writer.u16(len(resets.pending), "pending")
    for stream_id in resets.pending:
        writer.u16(stream_id, "stream_id")
    request = Writer()
    if resets.request is not None:
        resets.request.serialize(request)
    writer.vector(2, request.finish(), "request")


def _read_resets(reader: Reader, resets: StreamResets, now: float) -> None:
    resets.next_number, resets.expected_number = reader.u32("next_number"), reader.u32("expected_number")
    at = reader.offset
    result = reader.u8("last_result")
    if result not in frozenset(ReconfigurationResult):
        raise MalformedError("last_result", at, "is none")
    resets.last_result = ReconfigurationResult(result)
    resets.is_answer_deferred = read_flag(reader, "is_answer_deferred")
    resets.has_progress_answer = read_flag(reader, "has_progress_answer")
    resets.answering = read_optional_number(reader, "answering")
    resets.timer.deadline = read_optional_time(reader, now, "reset timer")
    resets.wait = read_float(reader, "reset wait")
    resets.pending = {reader.u16("stream_id"): None for _ in range(reader.u16("pending"))}
    request = reader.vector(2, "request")
    if len(request):
        resets.request = OutgoingSsnResetRequest.parse(request)


def _write_heartbeats(writer: Writer, heartbeats: Heartbeats, now: float) -> None:
    question = heartbeats.question
    writer.vector(1, b"" if question is None else question.nonce, "nonce")
    if question is not None:
        write_time(writer, question.sent_at, now)
    write_optional_time(writer, heartbeats.timer.deadline, now)


def _read_heartbeats(reader: Reader, heartbeats: Heartbeats, now: float) -> None:
    nonce = reader.vector(1, "nonce").rest()
    if nonce:
        heartbeats.question = Question(nonce=nonce, sent_at=read_time(reader, now, "asked at"))
    heartbeats.timer.deadline = read_optional_time(reader, now, "heartbeat timer")
