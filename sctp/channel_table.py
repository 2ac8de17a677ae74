"""What the peer makes of the channels: opening, talking and closing, as the association reports it.

Whatever breaks a rule costs the peer the channel, not the association: our stream is reset, and what still comes on
it until the peer has reset its own is dropped. An identifier that is being closed counts as a channel, so that a peer
that opens and never answers a reset runs out of channels before we run out of memory.

Source: RFC 8831 §6; RFC 8832 §6.
"""

from collections.abc import Iterable

from sctp import events
from sctp.association import SctpAssociation
from sctp.channel import Channel, ChannelLimits
from sctp.channel_events import ChannelClosed, ChannelDropReason, ChannelOpened, MessageReceived
from sctp.dcep import DataChannelAck, DataChannelOpen, parse_message, serialize_message
from sctp.payload import Ppid, decode_payload
from sctp.stream_pair import Phase, StreamPair
from wire.core import Closed, Drops, Event
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["ChannelTable"]


class ChannelTable:
    """All identifiers that are not free, and what happens to them.

    Args:
        association: what carries the channels.
        limits: what the peer may open.
        our_parity: 0 if our identifiers are even, 1 if they are odd.
        stream_count: identifiers there are, until the peer says that it has fewer.

    Attributes:
        pairs: by stream identifier.
        events: what the application has not been told yet.
        stream_count: identifiers that both sides have.
        is_connected: whether the association is established.
        is_closed: whether it has ended.
    """

    def __init__(
        self, association: SctpAssociation, *, limits: ChannelLimits, our_parity: int, stream_count: int
    ) -> None:
        self._association = association
        self._drops: Drops = association.drops
        self._limits = limits
        self._our_parity = our_parity
        self.stream_count = stream_count
        self.pairs: dict[int, StreamPair] = {}
        self.events: list[Event] = []
        self.is_connected = False
        self.is_closed = False

    def handle(self, reported: Iterable[Event], now: float) -> None:
        """Take in what the association reports."""
        for event in reported:
            match event:
                case events.MessageReceived(stream_id, ppid, data):
                    self._handle_message(stream_id, ppid, data, now)
                case events.StreamsReset():
                    self._handle_peer_reset(event, now)
                case events.StreamsResetDone():
                    self._handle_reset_done(event, now)
                case events.Connected():
                    self._handle_connected(event)
                case events.Restarted():
                    self._handle_restart(event, now)
                case Closed():
                    self._handle_closed(event)

    def restarted(self) -> None:
        """Forget, as who goes on from a snapshot in a new association, what only counted in the old one."""
        for stream_id, pair in list(self.pairs.items()):
            if pair.phase is Phase.CLOSING:
                # Streams begin anew. If the peer still waits for something, it asks again.
                self._report_end(pair)
                del self.pairs[stream_id]

    def _handle_connected(self, event: events.Connected) -> None:
        is_known, self.is_connected = self.is_connected, True
        self.stream_count = min(event.outbound_streams, event.inbound_streams)
        self.events.append(event)
        for channel_id, pair in list(self.pairs.items()):
            if channel_id >= self.stream_count:
                # Opened before the peer said how few streams it has.
                self._report_end(pair)
                del self.pairs[channel_id]
            elif pair.channel is not None and pair.channel.is_negotiated and not is_known:
                self.events.append(ChannelOpened(channel=pair.channel, is_ours=True))

    def _handle_restart(self, event: events.Restarted, now: float) -> None:
        # Inside of a DTLS association nobody begins from nothing: the peer goes on from a snapshot of its own
        # (`DataChannels.restore`), and knows the channels. It may not know that one is being closed. So it is told once
        # more; its own stream begins anew, which is as good as reset.
        closing = [stream_id for stream_id, pair in self.pairs.items() if pair.phase is Phase.CLOSING]
        for stream_id in closing:
            self.pairs[stream_id].begin_anew()
        if closing:
            self._association.reset_streams(closing, now)
        self.events.append(event)

    def _handle_closed(self, event: Closed) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        # RFC 8831 §6.2: if the association is closed, all of its data channels are.
        for pair in self.pairs.values():
            self._report_end(pair)
        self.pairs.clear()
        self.events.append(event)

    def _handle_message(self, stream_id: int, ppid: int, data: bytes, now: float) -> None:
        if self.is_closed:
            return
        if stream_id >= self.stream_count:
            self._drops[ChannelDropReason.ONE_WAY_STREAM] += 1
            return
        pair = self.pairs.get(stream_id)
        if ppid == Ppid.DCEP:
            self._handle_dcep(stream_id, pair, data, now)
        elif pair is None:
            # RFC 8832 §6: user data on an unused stream indicates an error; the channel MUST be closed.
            self._refuse(stream_id, ChannelDropReason.UNOPENED_CHANNEL, now)
        elif pair.usable is None:
            self._drops[ChannelDropReason.CLOSING_CHANNEL] += 1
        else:
            try:
                message = decode_payload(ppid, data)
            except MalformedError:
                # RFC 8831 §6.6: on an unsupported PPID, or an error in the message, the channel SHOULD be closed.
                self._refuse(stream_id, ChannelDropReason.UNREADABLE_MESSAGE, now)
                return
            self._confirm(pair)
            self.events.append(MessageReceived(channel_id=stream_id, message=message))

    def _handle_dcep(self, stream_id: int, pair: StreamPair | None, data: bytes, now: float) -> None:
        try:
            message = parse_message(data)
        except MalformedError:
            self._refuse(stream_id, ChannelDropReason.MALFORMED_DCEP, now)
            return
        if isinstance(message, DataChannelOpen):
            self._handle_open(stream_id, pair, message, now)
        elif pair is None:
            self._refuse(stream_id, ChannelDropReason.UNOPENED_CHANNEL, now)
        elif pair.usable is None:
            self._drops[ChannelDropReason.CLOSING_CHANNEL] += 1
        elif pair.is_ours and not pair.is_acked:
            pair.is_acked = True
            self._confirm(pair)
        else:
            # It says again what is so already, or what nobody had asked.
            self._drops[ChannelDropReason.UNEXPECTED_ACK] += 1

    def _handle_open(self, stream_id: int, pair: StreamPair | None, message: DataChannelOpen, now: float) -> None:
        # RFC 8832 §6: what does not satisfy the conditions MUST be answered by closing the channel, not by an ACK.
        if pair is not None and not pair.is_free_for_peer:
            self._refuse(stream_id, ChannelDropReason.CHANNEL_IN_USE, now)
            return
        if reason := self._objection(stream_id, message):
            self._refuse(stream_id, reason, now)
            return
        channel = Channel.from_open(stream_id, message)
        try:
            self._association.send(stream_id, Ppid.DCEP, serialize_message(DataChannelAck()), now)
        except LocalProtocolError:
            # The buffer is full of messages that the peer does not take.
            self._refuse(stream_id, ChannelDropReason.NO_ROOM_TO_ANSWER, now)
            return
        if pair is None:
            self.pairs[stream_id] = StreamPair(phase=Phase.OPEN, channel=channel)
        else:
            pair.reopen(channel)
        self.events.append(ChannelOpened(channel=channel, is_ours=False))

    def _objection(self, stream_id: int, message: DataChannelOpen) -> ChannelDropReason | None:
        if stream_id % 2 == self._our_parity:
            return ChannelDropReason.CHANNEL_PARITY
        # An identifier that is being closed is in the table already.
        if len(self.pairs) >= self._limits.max_channels and stream_id not in self.pairs:
            return ChannelDropReason.TOO_MANY_CHANNELS
        if max(len(message.label.encode()), len(message.protocol.encode())) > self._limits.max_text_length:
            return ChannelDropReason.LABEL_TOO_LONG
        return None

    def _handle_peer_reset(self, event: events.StreamsReset, now: float) -> None:
        closed: list[int] = []
        # RFC 6525 §4.1: if no streams are listed, all are reset.
        for stream_id in event.stream_ids or tuple(self.pairs):
            pair = self.pairs.get(stream_id)
            if pair is None:
                continue
            pair.has_peer_reset = True
            self._report_end(pair)
            if pair.begin_reset():
                closed.append(stream_id)
            self._forget_if_free(stream_id, pair)
        if closed:
            # RFC 8831 §6.7: when the peer sees that an incoming stream was reset, it also resets its outgoing stream.
            # All of them in one request, for only one can be under way.
            self._association.reset_streams(closed, now)

    def _handle_reset_done(self, event: events.StreamsResetDone, now: float) -> None:
        for stream_id in event.stream_ids:
            pair = self.pairs.get(stream_id)
            if pair is None:
                continue
            was_usable = pair.usable is not None
            if pair.reset_answered(is_performed=event.is_performed):
                self._association.reset_streams((stream_id,), now)
            elif pair.is_stuck or (was_usable and pair.phase is Phase.CLOSING):
                # The peer knows no resets, or does not want this one, and there is no other way to tell it. Or it has
                # asked for this one itself.
                self._report_end(pair)
            self._forget_if_free(stream_id, pair)

    # Steps of several of these ----------------------------------------------------------------------------------------

    def _confirm(self, pair: StreamPair) -> None:
        """The peer has said something on a channel, so it knows of it."""
        if pair.phase is Phase.CONNECTING and pair.channel is not None:
            pair.phase = Phase.OPEN
            self.events.append(ChannelOpened(channel=pair.channel, is_ours=True))

    def _refuse(self, stream_id: int, reason: ChannelDropReason, now: float) -> None:
        """Drop a message that breaks a rule, and close its channel, whatever it is."""
        self._drops[reason] += 1
        pair = self.pairs.get(stream_id)
        if pair is None:
            if len(self.pairs) >= 2 * self._limits.max_channels:
                # As many again as there may be channels were refused, and the peer goes on.
                self._association.abort(now, "too many channels")
                self._handle_closed(Closed(reason="too-many-channels", detail="the peer does not close what we refuse"))
                return
            pair = self.pairs[stream_id] = StreamPair(phase=Phase.OPEN)
        self._report_end(pair)
        self.close(stream_id, pair, now)

    def close(self, stream_id: int, pair: StreamPair, now: float) -> None:
        """Reset our stream, unless that was done before."""
        if pair.begin_reset():
            self._association.reset_streams((stream_id,), now)

    def _forget_if_free(self, stream_id: int, pair: StreamPair) -> None:
        if pair.is_free:
            del self.pairs[stream_id]

    def _report_end(self, pair: StreamPair) -> None:
        if pair.channel is not None:
            self.events.append(ChannelClosed(channel_id=pair.channel.id))
            pair.channel = None
