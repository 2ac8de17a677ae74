"""One SCTP association over DTLS: messages in, messages out.

What is here is the contract of a core (`wire.core`): inputs, commands, and what is known. The way of a packet is in
`dispatch`, that of an answer in `bundling`.

Goal: a peer that is authenticated and still hostile makes us drop, refuse or abort; it never makes an exception escape,
never makes memory grow beyond the options' bounds, never makes us send more than it sends but for what it acknowledges.

Source: RFC 9260; RFC 8261 (one packet per DTLS record, one path, no path MTU discovery); RFC 3758; RFC 6525.
"""

from collections.abc import Iterable

from sctp.causes.user_initiated_abort import UserInitiatedAbort
from sctp.control_block import random_tag
from sctp.cookie import KEY_SIZE, CookieJar
from sctp.dispatch import Dispatch
from sctp.options import SctpOptions
from sctp.parts import Parts
from sctp.snapshot import read_snapshot, write_snapshot
from sctp.states import SENDS_DATA, State
from sctp.tx.message import OutgoingMessage
from wire.core import Drops, Entropy, Event
from wire.errors import LocalProtocolError

__all__ = ["SctpAssociation"]

_ACCEPTS_MESSAGES = frozenset({State.CLOSED, State.COOKIE_WAIT, State.COOKIE_ECHOED, State.ESTABLISHED})
_MAX_REASON = 200


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
        parts = self._parts = Parts(options, entropy, jar)
        self._block, self._handshake, self._shutdown = parts.block, parts.handshake, parts.shutdown
        self._resets, self._heartbeats, self._bundler = parts.resets, parts.heartbeats, parts.bundler
        self._dispatch = Dispatch(parts)
        # Of those that never are replaced.
        self._timers = (
            parts.handshake.timer,
            parts.shutdown.timer,
            parts.shutdown.guard,
            parts.heartbeats.timer,
            parts.resets.timer,
        )

    # Input -----------------------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, now: float) -> Iterable[Event]:
        """Take one datagram from the peer."""
        self._now = now
        self._dispatch.receive(data, now)
        return self._take_events() if self._block.events else ()

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
            self._dispatch.follow_up(now)
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
        when = block.sender.next_timeout()
        for timer in self._timers:
            deadline = timer.deadline
            if deadline is not None and (when is None or deadline < when):
                when = deadline
        if block.receiver is not None:
            deadline = block.receiver.sacks.timer.deadline
            if deadline is not None and (when is None or deadline < when):
                when = deadline
        return when

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
        self._check_stream(stream_id)
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
        block.sender.burst = self._options.max_burst

    def reset_streams(self, stream_ids: Iterable[int], now: float) -> None:
        """Reset streams that we send on, after what is queued on them; `StreamsResetDone` tells how it went.

        What is sent on them from here on waits for that. Nothing happens when the association is ending.

        Raises:
            LocalProtocolError: a stream is none.
        """
        self._now = now
        wanted = tuple(stream_ids)
        for stream_id in wanted:
            self._check_stream(stream_id)
        if self._block.state in _ACCEPTS_MESSAGES:
            self._resets.reset(wanted, now)

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

    @property
    def is_acknowledged(self) -> bool:
        """Whether all that was to be sent has been sent, and the peer has it."""
        return self._block.sender.is_done

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
        return write_snapshot(self._parts, now)

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
        read_snapshot(data, self._parts, now)
        # It reads from here on with what was put into the parts.
        self._dispatch = Dispatch(self._parts)
        return self

    @classmethod
    def restart(
        cls, data: bytes, *, options: SctpOptions | None = None, entropy: Entropy, now: float
    ) -> "SctpAssociation":
        """Begin anew with the peer of an association that has gone on since `snapshot`, so that nothing of it is known.

        The peer finds by our INIT that we have restarted (RFC 9260 §5.2.4 A). What it still sends in the old
        association has the old verification tag, and is dropped.

        Raises:
            MalformedError: the data is something else.
        """
        old = Parts(SctpOptions() if options is None else options, entropy, CookieJar(b"", now))
        read_snapshot(data, old, now)
        before = old.block
        self = cls(options=options, entropy=entropy, now=now)
        # RFC 9260 §5.2.2: a tag that is not the old one is what shows the peer that this is no repetition.
        while self._block.local_tag in (before.local_tag, before.peer_tag):
            self._block.local_tag = random_tag(entropy)
        self._block.peer_max_message_size = before.peer_max_message_size
        self._handshake.replaces = before.peer_tag
        self.connect(now)
        return self

    def note_restart(self) -> None:
        """Learn, after `restore`, that the handshake that is under way takes the place of an older association."""
        self._handshake.replaces = 0

    def _check_stream(self, stream_id: int) -> None:
        terms = self._block.terms
        if not 0 <= stream_id < (self._options.streams if terms is None else terms.outbound_streams):
            raise LocalProtocolError(f"there is no stream {stream_id}")

    def _take_events(self) -> Iterable[Event]:
        events = self._block.events
        if not events:
            return ()
        taken = list(events)
        # The receiver appends to this very list.
        events.clear()
        return taken
