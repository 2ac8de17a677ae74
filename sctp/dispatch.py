"""The way of a packet: from bytes, chunk by chunk, to the part that it concerns; then what became possible by it.

Most packets are nothing but DATA and SACK of an established association, and take a short way (`transfer`).

Source: RFC 9260 §3.2, §6.10, and the sections named at each chunk.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

from sctp.causes.protocol_violation import ProtocolViolation
from sctp.causes.stale_cookie import StaleCookie
from sctp.causes.unrecognized_chunk_type import UnrecognizedChunkType
from sctp.causes.user_initiated_abort import UserInitiatedAbort
from sctp.chunks.abort import Abort
from sctp.chunks.chunk import Chunk, serialize_chunk
from sctp.chunks.cookie_ack import CookieAck
from sctp.chunks.cookie_echo import CookieEcho
from sctp.chunks.data import Data
from sctp.chunks.error import Error
from sctp.chunks.forward_tsn import ForwardTsn
from sctp.chunks.heartbeat import Heartbeat
from sctp.chunks.heartbeat_ack import HeartbeatAck
from sctp.chunks.init import Init
from sctp.chunks.init_ack import InitAck
from sctp.chunks.reconfig import ReConfig
from sctp.chunks.sack import Sack
from sctp.chunks.shutdown import Shutdown
from sctp.chunks.shutdown_ack import ShutdownAck
from sctp.chunks.shutdown_complete import ShutdownComplete
from sctp.chunks.unknown import UnknownChunk
from sctp.data_path import COMMON_HEADER_SIZE
from sctp.drops import DropReason
from sctp.inbound import admit
from sctp.options import PORT
from sctp.packet import parse_packet
from sctp.parts import Parts
from sctp.states import RECEIVES_DATA, RECEIVES_SACK, State
from sctp.transfer import Transfer
from sctp.tx.sack_check import check_sack
from wire.errors import LimitError, MalformedError, RemoteProtocolError

__all__ = ["Dispatch"]

_RECONFIGURES = frozenset({State.ESTABLISHED, State.SHUTDOWN_PENDING, State.SHUTDOWN_RECEIVED})
_SHUTS_DOWN = frozenset(
    {
        State.ESTABLISHED,
        State.SHUTDOWN_PENDING,
        State.SHUTDOWN_SENT,
        State.SHUTDOWN_RECEIVED,
        State.SHUTDOWN_ACK_SENT,
    }
)
_ESTABLISHED = State.ESTABLISHED
_TRANSFERS = (Data, Sack)
_MAX_REPORTED_CHUNK = 400


class Dispatch:
    """Reads packets.

    Args:
        parts: where chunks go.
    """

    __slots__ = (
        "_adoptions",
        "_answering",
        "_block",
        "_handshake",
        "_heartbeats",
        "_max_burst",
        "_resets",
        "_shutdown",
        "_transfer",
    )

    def __init__(self, parts: Parts) -> None:
        self._block = parts.block
        self._answering = parts.answering
        self._handshake = parts.handshake
        self._heartbeats = parts.heartbeats
        self._resets = parts.resets
        self._shutdown = parts.shutdown
        self._adoptions = parts.block.adoptions
        self._max_burst = parts.block.options.max_burst
        self._transfer = Transfer(parts.block, parts.bundler)

    def receive(self, data: bytes, now: float) -> None:
        """Read a packet; whatever is in it, nothing is raised."""
        try:
            if not self._transfer.receive(data, now):
                if self._block.state is State.ENDED:
                    self._block.drop(DropReason.AFTER_CLOSE)
                    return
                self._receive_packet(data, now)
        except LimitError as error:
            self._block.abort("message-too-large", str(error), ProtocolViolation())
        except RemoteProtocolError as error:
            # What the receiving half raises is beyond repair: see `rx.fragments`.
            self._block.abort("misbehaved", str(error), ProtocolViolation())
        self.follow_up(now)

    # Packets ---------------------------------------------------------------------------------------------------------

    def _receive_packet(self, data: bytes, now: float) -> None:
        block = self._block
        try:
            packet = parse_packet(data)
        except MalformedError as error:
            is_checksum = error.field == "Checksum" and len(data) >= COMMON_HEADER_SIZE
            block.drop(DropReason.CHECKSUM if is_checksum else DropReason.MALFORMED)
            return
        if (packet.source_port, packet.destination_port) != (PORT, PORT):
            block.drop(DropReason.PORT)
            return
        reason = admit(packet, block)
        if reason is not None:
            block.drop(reason)
            return
        if packet.partial is not None:
            # RFC 9260 §6.10: what is whole is read all the same.
            block.drop(DropReason.MALFORMED)
        for number, chunk in enumerate(packet.chunks):
            if not self._receive_chunk(chunk, packet.verification_tag, is_first=number == 0, now=now):
                break

    def _receive_chunk(self, chunk: Chunk, verification_tag: int, *, is_first: bool, now: float) -> bool:
        """Hand a chunk to its part; return whether the next one may be read."""
        block = self._block
        if isinstance(chunk, UnknownChunk):
            return self._receive_unknown(chunk)
        if isinstance(chunk, CookieEcho):
            if not is_first:
                # §5.1: it MUST be the first chunk.
                block.drop(DropReason.BUNDLED)
                return True
            is_accepted = self._answering.receive_cookie_echo(chunk, verification_tag, now)
            self._follow_terms(now)
            if is_accepted and self._heartbeats.timer.deadline is None:
                self._heartbeats.restart(now)
            return is_accepted
        if block.state is State.COOKIE_ECHOED and isinstance(chunk, _TRANSFERS):
            self._handshake.peer_transfers()
            self._heartbeats.restart(now)
        self._HANDLERS[type(chunk)](self, chunk, now)
        return block.state is not State.ENDED

    def _receive_unknown(self, chunk: UnknownChunk) -> bool:
        # RFC 9260 §3.2: the two highest bits of the type say what is done.
        self._block.drop(DropReason.UNKNOWN_CHUNK)
        action = chunk.action
        if action.is_reported and self._block.receiver is not None:
            self._block.report_error(UnrecognizedChunkType(chunk=serialize_chunk(chunk)[:_MAX_REPORTED_CHUNK]))
        return not action.is_stop

    def _follow_terms(self, now: float) -> None:
        """New terms were adopted: numbers of resets and silence begin anew."""
        if self._adoptions != self._block.adoptions:
            self._adoptions = self._block.adoptions
            self._resets.begin()
            self._heartbeats.restart(now)

    def follow_up(self, now: float) -> None:
        """Take the steps that what has just happened makes possible."""
        block = self._block
        receiver, sender, resets = block.receiver, block.sender, self._resets
        has_data = receiver is not None and receiver.was_touched
        if receiver is not None and has_data:
            receiver.packet_received(now)
            if receiver.causes:
                block.report_error(*receiver.causes)
                receiver.causes.clear()
            if resets.is_answer_deferred:
                resets.answer_deferred()
        if resets.pending:
            resets.advance(now)
        if block.state is not _ESTABLISHED:
            if has_data:
                self._shutdown.data_received(now)
            self._shutdown.advance(now)
        if sender.peer_window.closed_since is not None and sender.peer_window.is_starved(now):
            block.abort("zero-window", "the peer takes nothing any more", UserInitiatedAbort())
        # RFC 9260 §6.1 D: something came from outside, so as many packets of new data may follow.
        sender.burst = self._max_burst

    # Chunks, in the order of an association's life -------------------------------------------------------------------

    def _receive_init_ack(self, chunk: InitAck, now: float) -> None:
        self._handshake.receive_init_ack(chunk, now)
        self._follow_terms(now)

    def _receive_cookie_ack(self, _chunk: CookieAck, now: float) -> None:
        self._handshake.receive_cookie_ack(now)
        self._heartbeats.restart(now)

    def _receive_data_chunk(self, chunk: Data, _now: float) -> None:
        if self._block.state not in RECEIVES_DATA:
            self._block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        flags = chunk.is_immediate << 3 | chunk.is_unordered << 2 | chunk.is_beginning << 1 | chunk.is_end
        self._transfer.receive_data(
            chunk.tsn, chunk.stream_id, chunk.stream_sequence_number, chunk.ppid, flags, chunk.user_data
        )

    def _receive_sack_chunk(self, chunk: Sack, now: float) -> None:
        if self._block.state in RECEIVES_SACK:
            self._transfer.receive_sack(chunk.cumulative_tsn_ack, chunk.a_rwnd, chunk.gap_ack_blocks, now)
        else:
            self._block.drop(DropReason.UNEXPECTED_CHUNK)

    def _receive_forward_tsn(self, chunk: ForwardTsn, _now: float) -> None:
        block = self._block
        if block.receiver is None or block.state not in RECEIVES_DATA:
            block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        block.receiver.receive_forward_tsn(chunk.new_cumulative_tsn, chunk.skipped)

    def _receive_reconfig(self, chunk: ReConfig, now: float) -> None:
        if self._block.state in _RECONFIGURES:
            self._resets.receive(chunk, now)
        else:
            self._block.drop(DropReason.UNEXPECTED_CHUNK)

    def _receive_error(self, chunk: Error, now: float) -> None:
        if any(isinstance(cause, StaleCookie) for cause in chunk.causes):
            self._handshake.receive_stale_cookie(now)
        # RFC 9260 §3.3.10: any other error is a report and no more.

    def _receive_abort(self, chunk: Abort, _now: float) -> None:
        causes = ", ".join(type(cause).__name__ for cause in chunk.causes)
        self._block.close("peer-abort", f"the peer has aborted: {causes or 'no cause given'}")

    def _receive_shutdown(self, chunk: Shutdown, now: float) -> None:
        block = self._block
        if block.receiver is None or block.state not in _SHUTS_DOWN:
            # RFC 9260 §9.2: silently discarded while the association is being made.
            block.drop(DropReason.UNEXPECTED_CHUNK)
            return
        checked = check_sack(block.sender.outstanding, chunk.cumulative_tsn_ack, ())
        if isinstance(checked, DropReason):
            block.drop(checked)
            if checked is DropReason.SACK_OF_UNSENT:
                return
        elif block.sender.acknowledge_cumulatively(checked[0], now):
            block.heard()
        self._shutdown.receive_shutdown(now)

    # Of the class: an instance that holds methods of its own is freed by the garbage collector only.
    _HANDLERS: ClassVar[Mapping[type[Chunk], Callable[..., None]]] = {
        Init: lambda self, chunk, now: self._answering.receive_init(chunk, now),
        InitAck: _receive_init_ack,
        CookieAck: _receive_cookie_ack,
        Data: _receive_data_chunk,
        Sack: _receive_sack_chunk,
        ForwardTsn: _receive_forward_tsn,
        ReConfig: _receive_reconfig,
        Heartbeat: lambda self, chunk, _now: self._heartbeats.receive_heartbeat(chunk),
        HeartbeatAck: lambda self, chunk, now: self._heartbeats.receive_ack(chunk, now),
        Error: _receive_error,
        Abort: _receive_abort,
        Shutdown: _receive_shutdown,
        ShutdownAck: lambda self, _chunk, _now: self._shutdown.receive_shutdown_ack(),
        ShutdownComplete: lambda self, _chunk, _now: self._shutdown.receive_shutdown_complete(),
    }
