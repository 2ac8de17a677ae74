"""Data channels: many two-way conversations on one association.

A channel is a pair of streams with the same identifier. Opening, closing, and using an identifier again:

    we                                            the peer
    DATA_CHANNEL_OPEN, messages (ordered)  ──▶    ChannelOpened, MessageReceived
    ChannelOpened                          ◀──    DATA_CHANNEL_ACK, or any message
      …
    reset of our stream                    ──▶    ChannelClosed
    ChannelClosed                          ◀──    reset of its stream
      the identifier is free again as soon as a side has seen both resets

Here is what the application does; what the peer does is in `channel_table`.

Source: RFC 8831 §6; RFC 8832 §6.
"""

from collections.abc import Iterable, Mapping
from typing import Self

from sctp.association import SctpAssociation
from sctp.channel import NORMAL_PRIORITY, Channel, ChannelLimits
from sctp.channel_events import ChannelOpened
from sctp.channel_snapshot import TableSnapshot
from sctp.channel_table import ChannelTable
from sctp.dcep import serialize_message
from sctp.options import SctpOptions
from sctp.payload import Ppid, encode_payload
from sctp.stream_pair import Phase, StreamPair
from wire.buffer import Reader, Writer
from wire.core import Drops, Entropy, Event
from wire.errors import LocalProtocolError

__all__ = ["DataChannels"]


class DataChannels:
    """Data channels over one association; a `wire.core.Core` that connects when it is made.

    Args:
        is_dtls_client: our DTLS role, which decides whose identifiers are even.
        options: of the association.
        limits: what the peer may open.
        entropy: see `wire.core`.
        now: see `wire.core`.
        max_message_size: bytes of the largest message that the peer takes: its `a=max-message-size`, 65536 where that
            is absent; 0 for any size.
    """

    def __init__(
        self,
        *,
        is_dtls_client: bool,
        options: SctpOptions | None = None,
        limits: ChannelLimits | None = None,
        entropy: Entropy,
        now: float,
        max_message_size: int,
    ) -> None:
        options = SctpOptions() if options is None else options
        association = SctpAssociation(options=options, entropy=entropy, now=now)
        association.set_peer_max_message_size(max_message_size)
        # RFC 8832 §6: the DTLS client MUST choose an even stream identifier, the server an odd one.
        our_parity = 0 if is_dtls_client else 1
        self._set_up(association, ChannelLimits() if limits is None else limits, our_parity, options.streams)
        association.connect(now)

    def _set_up(self, association: SctpAssociation, limits: ChannelLimits, our_parity: int, stream_count: int) -> None:
        self._association = association
        self._limits = limits
        self._our_parity = our_parity
        self._table = ChannelTable(association, limits=limits, our_parity=our_parity, stream_count=stream_count)
        self._events_since: float | None = None  # when a command left something to report

    @property
    def drops(self) -> Drops:
        """How much was dropped, by reason."""
        return self._association.drops

    @property
    def channels(self) -> Mapping[int, Channel]:
        """The channels that messages can be sent on, by identifier."""
        return {channel_id: pair.usable for channel_id, pair in self._table.pairs.items() if pair.usable is not None}

    @property
    def is_closed(self) -> bool:
        """Whether the association has ended."""
        return self._table.is_closed

    @property
    def is_acknowledged(self) -> bool:
        """Whether all that was to be sent on any channel has been sent, and the peer has it."""
        return self._association.is_acknowledged

    def buffered_amount(self, channel_id: int) -> int:
        """Bytes of a channel's messages that were not sent yet."""
        return self._association.buffered_amount(channel_id)

    # The core ---------------------------------------------------------------------------------------------------------

    def receive_datagram(self, data: bytes, now: float) -> Iterable[Event]:
        """Take one SCTP packet from the peer."""
        table = self._table
        if table.is_closed:
            return ()
        reported = self._association.receive_datagram(data, now)
        if reported:
            table.handle(reported, now)
        # Most packets are pieces of messages, and make nothing known.
        return self._take_events() if table.events else ()

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Do what `next_timeout` announced, if it is due."""
        if not self._table.is_closed:
            self._table.handle(self._association.handle_timeout(now), now)
        return self._take_events()

    def datagrams_to_send(self, now: float) -> Iterable[bytes]:
        """Take what is to be sent."""
        return self._association.datagrams_to_send(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        when = self._association.next_timeout()
        if self._events_since is None:
            return when
        return self._events_since if when is None else min(when, self._events_since)

    # Commands ---------------------------------------------------------------------------------------------------------

    def open(
        self,
        label: str,
        *,
        protocol: str = "",
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime: float | None = None,
        priority: int = NORMAL_PRIORITY,
        negotiated_id: int | None = None,
        now: float,
    ) -> int:
        """Open a channel; messages can be sent on it at once.

        Args:
            label: a name for the peer.
            protocol: a WebSocket subprotocol; empty for unspecified.
            ordered: whether messages arrive in the order in which they were sent.
            max_retransmits: how often a message is sent again before it is given up; None for no limit.
            lifetime: seconds before a message is given up; None for no limit.
            priority: told to the peer.
            negotiated_id: the identifier, if both ends know of this channel from elsewhere (`negotiated: true`); None
                to choose one and tell the peer.
            now: the present.

        Returns:
            The identifier.

        Raises:
            LocalProtocolError: closed, the identifier is used, all are, or a value is out of range.
        """
        if self._table.is_closed:
            raise LocalProtocolError("the association is closed")
        if len(self._table.pairs) >= self._limits.max_channels:
            raise LocalProtocolError(f"there are {len(self._table.pairs)} channels")
        is_negotiated = negotiated_id is not None
        channel = Channel(
            id=self._free_id() if negotiated_id is None else self._check_free(negotiated_id),
            label=label,
            protocol=protocol,
            ordered=ordered,
            max_retransmits=max_retransmits,
            lifetime=lifetime,
            priority=priority,
            is_negotiated=is_negotiated,
        )
        if not is_negotiated:
            # RFC 8832 §6: all DCEP messages MUST be sent ordered and reliable.
            self._association.send(channel.id, Ppid.DCEP, serialize_message(channel.to_open()), now)
            self._table.pairs[channel.id] = StreamPair(phase=Phase.CONNECTING, channel=channel, is_ours=True)
            return channel.id
        # RFC 8831 §6.5: nothing is said. It is of use as soon as the association is.
        self._table.pairs[channel.id] = StreamPair(phase=Phase.OPEN, channel=channel)
        if self._table.is_connected:
            self._table.events.append(ChannelOpened(channel=channel, is_ours=True))
            self._events_since = now
        return channel.id

    def send(self, channel_id: int, message: str | bytes, now: float) -> None:
        """Send a message; it is buffered until the association and the peer have room for it.

        Raises:
            LocalProtocolError: the channel is not open, the message is larger than the peer takes, or the buffer is
                full.
        """
        pair, channel = self._usable(channel_id)
        ppid, data = encode_payload(message)
        self._association.send(
            channel_id,
            ppid,
            data,
            now,
            # RFC 8832 §6: before anything has been received on it, messages MUST be sent ordered in any case, so that
            # none overtakes the DATA_CHANNEL_OPEN.
            ordered=channel.ordered or pair.phase is Phase.CONNECTING,
            max_retransmits=channel.max_retransmits,
            lifetime=channel.lifetime,
        )

    def close_channel(self, channel_id: int, now: float) -> None:
        """Close a channel, after what was sent on it; `ChannelClosed` tells when the peer has done so, too.

        Raises:
            LocalProtocolError: there is no such channel, or it was closed before.
        """
        pair, _channel = self._usable(channel_id)
        self._table.close(channel_id, pair, now)

    def close(self, now: float) -> None:
        """End the association after all that was sent has arrived; `Closed` tells when."""
        if not self._table.is_closed:
            self._association.shutdown(now)

    def abort(self, now: float, reason: str = "") -> None:
        """End the association at once, and with it whatever was not delivered yet; no event follows.

        Args:
            now: the present.
            reason: told to the peer.
        """
        if not self._table.is_closed:
            self._association.abort(now, reason)
            self._table.is_closed = True
            self._table.pairs.clear()

    # Moving house ----------------------------------------------------------------------------------------------------

    def snapshot(self, now: float) -> bytes:
        """Return all that another process needs to go on exactly here.

        Raises:
            LocalProtocolError: it is closed, or events wait to be fetched.
        """
        table = self._table
        if table.is_closed or table.events:
            raise LocalProtocolError("closed, or events are waiting")
        writer = Writer()
        TableSnapshot(
            our_parity=self._our_parity,
            stream_count=table.stream_count,
            is_connected=table.is_connected,
            pairs=table.pairs,
            association=self._association.snapshot(now),
        ).serialize(writer)
        return writer.finish()

    @classmethod
    def restore(
        cls,
        data: bytes,
        *,
        options: SctpOptions | None = None,
        limits: ChannelLimits | None = None,
        entropy: Entropy,
        now: float,
        is_restart: bool = False,
    ) -> Self:
        """Go on where `snapshot` left off, with the same options.

        Args:
            data: what it returned.
            options: of the association.
            limits: what the peer may open.
            entropy: see `wire.core`.
            now: see `wire.core`.
            is_restart: whether the old owner may have gone on after the snapshot. Then a new association takes the
                place of the old one, for peers which know RFC 9260 §5.2.4. The channels stay open, and messages can be
                sent on them at once. What the old association had to send is forgotten, as some of it may have arrived
                with younger messages behind it; so messages can be lost, and those that the peer sends once more come
                twice, but none comes in a wrong order.

        Raises:
            MalformedError: the data is something else.
        """
        snapshot = TableSnapshot.parse(Reader(data))
        self = cls.__new__(cls)
        make = SctpAssociation.restart if is_restart else SctpAssociation.restore
        self._set_up(
            make(snapshot.association, options=options, entropy=entropy, now=now),
            ChannelLimits() if limits is None else limits,
            snapshot.our_parity,
            snapshot.stream_count,
        )
        self._table.pairs = snapshot.pairs
        self._table.is_connected = snapshot.is_connected
        if is_restart:
            self._table.restarted()
            self._events_since = now if self._table.events else None
        elif snapshot.is_connected:
            # If there is still, or again, a handshake to be made, it is not the first one.
            self._association.note_restart()
        return self

    # Small things -----------------------------------------------------------------------------------------------------

    def _usable(self, channel_id: int) -> tuple[StreamPair, Channel]:
        pair = self._table.pairs.get(channel_id)
        if pair is None or pair.usable is None:
            raise LocalProtocolError(f"channel {channel_id} is not open")
        return pair, pair.usable

    def _free_id(self) -> int:
        for channel_id in range(self._our_parity, self._table.stream_count, 2):
            if channel_id not in self._table.pairs:
                return channel_id
        raise LocalProtocolError("no stream is free")

    def _check_free(self, channel_id: int) -> int:
        # RFC 8831 §6.5: to reuse a stream that is part of an existing data channel MUST fail.
        if channel_id in self._table.pairs or not 0 <= channel_id < self._table.stream_count:
            raise LocalProtocolError(f"stream {channel_id} is not free")
        return channel_id

    def _take_events(self) -> list[Event]:
        table = self._table
        taken, table.events = table.events, []
        self._events_since = None
        return taken
