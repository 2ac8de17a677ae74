"""One SCTP association over DTLS: messages in, messages out.

What is here is the contract of a core (`wire.core`) and the way of a packet through the parts: admitted (`inbound`),
chunk by chunk to the part that it concerns, then whatever became possible by it.

Goal: a peer that is authenticated and still hostile makes us drop, refuse or abort; it never makes an exception escape,
never makes memory grow beyond the options' bounds, never makes us send more than it sends but for what it acknowledges.

Source: RFC 9260; RFC 8261 (one packet per DTLS record, one path, no path MTU discovery); RFC 3758; RFC 6525.
"""

from collections.abc import Callable, Iterable

from sctp.bundling import Bundler
from sctp.causes.no_user_data import NoUserData
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
from sctp.control_block import ControlBlock
from sctp.cookie import KEY_SIZE, CookieJar
from sctp.data_path import DATA_VALUE, read_chunks, unpack_sack, verify_header
from sctp.drops import DropReason
from sctp.handshake import Handshake
from sctp.heartbeats import Heartbeats
from sctp.inbound import admit
from sctp.options import PORT, SctpOptions
from sctp.packet import parse_packet
from sctp.shutdown import GracefulShutdown
from sctp.snapshot import Parts, read_snapshot, write_snapshot
from sctp.states import RECEIVES_DATA, RECEIVES_SACK, SENDS_DATA, State
from sctp.stream_reset import StreamResets
from sctp.tx.message import OutgoingMessage
from sctp.tx.sack_check import check_sack
from wire.core import Drops, Entropy, Event
from wire.errors import LimitError, LocalProtocolError, MalformedError, RemoteProtocolError

__all__ = ["SctpAssociation"]

_ACCEPTS_MESSAGES = frozenset({State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.ESTABLISHED})
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
_MAX_REASON = 200
_MAX_REPORTED_CHUNK = 400


class SctpAssociation:
    """SCTP with one peer; a `wire.core.Core`.

    Commands return nothing: what they make known comes out of the next call of `receive_datagram` or
    `handle_timeout`, for which `next_timeout` is due at once; what they make us send, out of `datagrams_to_send`.

    Args:
        options: sizes, limits, timers.
        entropy: returns that many unpredictable bytes.
        now: the present, monotonic, in seconds.
    """

    def __init__(self, *, options: SctpOptions | None = None, entropy: Entropy, now: float) -> None:
        self._set_up(SctpOptions() if options is None else options, entropy, CookieJar(entropy(KEY_SIZE), now), now)

    def _set_up(self, options: SctpOptions, entropy: Entropy, jar: CookieJar, now: float) -> None:
        self._now = now
        self._options = options
        self._jar = jar
        self._block = ControlBlock(options, entropy)
        self._handshake = Handshake(self._block, jar)
        self._shutdown = GracefulShutdown(self._block)
        self._resets = StreamResets(self._block)
        self._heartbeats = Heartbeats(self._block)
        self._bundler = Bundler(self._block, self._handshake)
        self._adoptions = 0
        self._handlers: dict[type[Chunk], Callable[[Chunk, float], None]] = {}
        self._install_handlers()

    # Input -----------------------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, now: float) -> Iterable[Event]:
        """Take one datagram from the peer."""
        self._now = now
        block = self._block
        if block.state is State.ENDED:
            block.drop(DropReason.AFTER_CLOSE)
            return self._take_events()
        try:
            if not self._receive_transfer(data, now):
                self._receive_packet(data, now)
        except RemoteProtocolError as error:
            # What the halves raise is beyond repair: see `rx.fragments`.
            reason = "misbehaved" if not isinstance(error, LimitError) else "message-too-large"
            block.abort(reason, str(error), ProtocolViolation())
        self._follow_up(now)
        return self._take_events()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what `next_timeout` announced, if it is due."""
        self._now = now
        block = self._block
        for part in (self._handshake, self._shutdown, self._heartbeats, self._resets):
            if block.state is not State.ENDED:
                part.handle_timeout(now)
        if block.state is not State.ENDED:
            if block.sender.handle_timeout(now) and block.state in SENDS_DATA:
                block.count_error()
            if block.receiver is not None:
                block.receiver.sacks.handle_timeout(now)
            self._follow_up(now)
        return self._take_events()

    def datagrams_to_send(self, now: float) -> Iterable[bytes]:
        """Take what is to be sent; each datagram is returned once. After closing, the last ABORT is here."""
        return self._bundler.take_packets(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called; in the past when events wait to be fetched."""
        block = self._block
        if block.events:
            return self._now
        if block.state is State.ENDED:
            return None
        deadlines = [
            self._handshake.timer.deadline,
            self._shutdown.timer.deadline,
            self._shutdown.guard.deadline,
            self._heartbeats.timer.deadline,
            self._resets.timer.deadline,
            block.sender.next_timeout(),
            None if block.receiver is None else block.receiver.sacks.timer.deadline,
        ]
        return min([when for when in deadlines if when is not None], default=None)

    # Commands --------------------------------------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Send an INIT, unless the peer's was faster; both sides may do it."""
        self._now = now
        self._handshake.connect(now)

    def set_peer_max_message_size(self, size: int) -> None:
        """Learn the peer's `a=max-message-size` (RFC 8841 §6); 0 for any size."""
        self._block.peer_max_message_size = size

    def send(
        self,
        stream_id: int,
        ppid: int,
        data: bytes,
        now: float,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime: float | None = None,
    ) -> None:
        """Queue a message; it may be queued before the association is established.

        Args:
            stream_id: the stream.
            ppid: payload protocol identifier, 32 bits.
            data: the message, at least one byte.
            now: the present.
            ordered: whether it may not overtake, nor be overtaken by, other ordered messages of the stream.
            max_retransmits: how often a piece of it is sent again before all of it is given up; None for ever.
            lifetime: seconds after which it is given up; None for never.

        Raises:
            LocalProtocolError: the association is ending or over, the stream is none, the message is empty or larger
                than the peer accepts, or the buffer is full.
        """
        self._now = now
        block = self._block
        if block.state not in _ACCEPTS_MESSAGES:
            # RFC 9260 §9.2: no new data once a shutdown has begun.
            raise LocalProtocolError(f"cannot send in state {block.state.name}")
        if not 0 <= stream_id < (self._options.streams if block.terms is None else block.terms.outbound_streams):
            raise LocalProtocolError(f"there is no stream {stream_id}")
        if not data:
            # RFC 9260 §6.2: no DATA chunk without user data.
            raise LocalProtocolError("a message has at least one byte")
        if block.peer_max_message_size and len(data) > block.peer_max_message_size:
            raise LocalProtocolError(f"{len(data)} bytes, the peer accepts {block.peer_max_message_size}")
        queue = block.sender.queue
        if queue.buffered + len(data) > self._options.max_send_buffer:
            raise LocalProtocolError("the send buffer is full")
        queue.add(
            OutgoingMessage(
                stream_id,
                ppid,
                data,
                is_unordered=not ordered,
                max_retransmits=max_retransmits,
                expires_at=None if lifetime is None else now + lifetime,
            )
        )
        block.sender.refill_burst()

    def reset_streams(self, stream_ids: Iterable[int], now: float) -> None:
        """Reset streams that we send on, after what is queued on them; `StreamsResetDone` tells how it went.

        What is sent on them from here on waits for that.
        """
        self._now = now
        if self._block.state in _ACCEPTS_MESSAGES:
            self._resets.reset(stream_ids, now)

    def shutdown(self, now: float) -> None:
        """End it once all that is queued has arrived on both sides; `Closed` tells when."""
        self._now = now
        self._shutdown.request(now)

    def abort(self, now: float, reason: str = "") -> None:
        """End it at once; no `Closed` follows.

        Args:
            now: the present.
            reason: told to the peer.
        """
        self._now = now
        if self._block.state is not State.ENDED:
            self._block.abandon(UserInitiatedAbort(reason=reason.encode()[:_MAX_REASON]))

    # What is known ---------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where the association is in its life."""
        return self._block.state

    @property
    def drops(self) -> Drops:
        """What was dropped, by `DropReason`."""
        return self._block.drops

    def buffered_amount(self, stream_id: int) -> int:
        """Bytes queued on a stream that were not sent for the first time yet."""
        return self._block.sender.queue.buffered_amount(stream_id)

    # Moving house ----------------------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> bytes:
        """Return all that another process needs to go on exactly here; holds messages and the cookie key.

        Raises:
            LocalProtocolError: it has ended, or events wait to be fetched.
        """
        if self._block.state is State.ENDED or self._block.events:
            raise LocalProtocolError("ended, or events are waiting")
        return write_snapshot(self._parts(), now)

    @classmethod
    def restore(
        cls, data: bytes, *, options: SctpOptions | None = None, entropy: Entropy, now: float
    ) -> "SctpAssociation":
        """Go on where `snapshot` left off, with the same options.

        Raises:
            MalformedError: the data is something else.
        """
        self = cls.__new__(cls)
        # The parts are made first and filled then; of the entropy nothing is used up that a peer could have seen.
        self._set_up(SctpOptions() if options is None else options, entropy, CookieJar(b"", now), now)
        read_snapshot(data, self._parts(), now)
        self._adoptions = self._block.adoptions
        return self

    def _parts(self) -> Parts:
        return Parts(
            block=self._block,
            jar=self._jar,
            handshake=self._handshake,
            shutdown=self._shutdown,
            resets=self._resets,
            heartbeats=self._heartbeats,
        )

    # Packets ---------------------------------------------------------------------------------------------------------

    def _receive_transfer(self, data: bytes, now: float) -> bool:
        """Take the short way (`data_path`) if the packet is nothing but DATA and SACK of this association."""
        block = self._block
        header = verify_header(data)
        if header is None or header != (block.local_tag, True) or block.state is not State.ESTABLISHED:
            return False
        chunks = read_chunks(data)
        if chunks is None:
            return False
        for chunk_type, flags, start, end in chunks:
            if chunk_type == Data.TYPE:
                tsn, stream_id, number, ppid = DATA_VALUE.unpack_from(data, start)
                self._receive_data(tsn, stream_id, number, ppid, flags, data[start + DATA_VALUE.size : end])
            else:
                cumulative, a_rwnd, blocks = unpack_sack(data, start)
                self._receive_sack(cumulative, a_rwnd, blocks, now)
            if block.state is not State.ESTABLISHED:
                break
        return True

    def _receive_packet(self, data: bytes, now: float) -> None:
        block = self._block
        try:
            packet = parse_packet(data)
        except MalformedError as error:
            block.drop(DropReason.CHECKSUM if error.field == "Checksum" else DropReason.MALFORMED)
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
            is_accepted = self._handshake.receive_cookie_echo(chunk, verification_tag, now)
            self._follow_terms(now)
            return is_accepted
        self._handlers[type(chunk)](chunk, now)
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

    def _follow_up(self, now: float) -> None:
        """Take the steps that what has just happened makes possible."""
        block = self._block
        receiver, sender = block.receiver, block.sender
        if receiver is not None:
            if receiver.was_touched:
                receiver.packet_received(now)
                self._shutdown.data_received(now)
                self._resets.answer_deferred()
            if receiver.causes:
                block.report_error(*receiver.causes)
                receiver.causes.clear()
        if block.state is State.ENDED:
            return
        if self._resets.pending:
            self._resets.advance(now)
        if block.state is not State.ESTABLISHED:
            self._shutdown.advance(now)
        if sender.is_starved(now):
            block.abort("zero-window", "the peer takes nothing any more", UserInitiatedAbort())
        sender.refill_burst()

    def _take_events(self) -> list[Event]:
        events = self._block.events
        if not events:
            return []
        taken = list(events)
        # The receiver appends to this very list.
        events.clear()
        return taken

    # Chunks, in the order of an association's life -------------------------------------------------------------------

    def _install_handlers(self) -> None:
        handshake, shutdown, heartbeats = self._handshake, self._shutdown, self._heartbeats
        handlers: dict[type[Chunk], Callable[..., None]] = {
            Init: handshake.receive_init,
            InitAck: self._receive_init_ack,
            CookieAck: self._receive_cookie_ack,
            Data: self._receive_data_chunk,
            Sack: self._receive_sack_chunk,
            ForwardTsn: self._receive_forward_tsn,
            ReConfig: self._receive_reconfig,
            Heartbeat: lambda chunk, _now: heartbeats.receive_heartbeat(chunk),
            HeartbeatAck: heartbeats.receive_ack,
            Error: self._receive_error,
            Abort: self._receive_abort,
            Shutdown: self._receive_shutdown,
            ShutdownAck: lambda _chunk, _now: shutdown.receive_shutdown_ack(),
            ShutdownComplete: lambda _chunk, _now: shutdown.receive_shutdown_complete(),
        }
        self._handlers = handlers

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
        self._receive_data(chunk.tsn, chunk.stream_id, chunk.stream_sequence_number, chunk.ppid, flags, chunk.user_data)

    def _receive_data(
        self, tsn: int, stream_id: int, stream_sequence_number: int, ppid: int, flags: int, payload: bytes
    ) -> None:
        block = self._block
        receiver = block.receiver
        if receiver is None:
            return
        if not payload:
            # RFC 9260 §6.2: SHOULD abort.
            block.abort("misbehaved", "DATA without user data", NoUserData(tsn=tsn))
            return
        if not receiver.was_touched and receiver.sacks.is_due and receiver.tracker.has_gap:
            # §6.7: with a gap, every packet gets its own SACK; three of them make a fast retransmit.
            self._bundler.take_sack()
        receiver.receive_data(tsn, stream_id, stream_sequence_number, ppid, flags, payload)

    def _receive_sack_chunk(self, chunk: Sack, now: float) -> None:
        if self._block.state in RECEIVES_SACK:
            self._receive_sack(chunk.cumulative_tsn_ack, chunk.a_rwnd, chunk.gap_ack_blocks, now)
        else:
            self._block.drop(DropReason.UNEXPECTED_CHUNK)

    def _receive_sack(self, cumulative: int, a_rwnd: int, blocks: Iterable[tuple[int, int]], now: float) -> None:
        block = self._block
        checked = check_sack(block.sender.outstanding, cumulative, blocks)
        if isinstance(checked, DropReason):
            block.drop(checked)
        elif block.sender.acknowledge(checked[0], a_rwnd, checked[1], now):
            block.heard()

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
