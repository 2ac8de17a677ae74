"""The data channel of a call, over which it speaks the events of the Realtime protocol."""

from collections.abc import Iterable, Sequence

import attrs

from dtls.association import DtlsAssociation
from sctp.channel_events import ChannelOpened, MessageReceived
from sctp.channels import DataChannels
from wire.core import Closed, Drops, Entropy, Event

__all__ = ["LABEL", "EventChannel", "EventReceived", "EventsClosed", "EventsOpened"]

LABEL = "oai-events"
"""What the channel is called; servers look for it."""


@attrs.frozen(kw_only=True)
class EventsOpened(Event):
    """The server knows of the channel."""


@attrs.frozen(kw_only=True)
class EventReceived(Event):
    """The server sent an event.

    Attributes:
        text: as JSON.
    """

    text: str


@attrs.frozen(kw_only=True)
class EventsClosed(Event):
    """No event comes any more.

    Attributes:
        reason: see `sctp.events`.
    """

    reason: str


class EventChannel:
    """The channel of one call; SCTP is the application data of its DTLS association.

    Args:
        dtls: the association, connected.
        is_dtls_client: our role in it.
        max_message_size: the longest message that the server takes, in bytes.
        entropy: see `wire.core`.
        now: the present.
    """

    def __init__(
        self, dtls: DtlsAssociation, *, is_dtls_client: bool, max_message_size: int, entropy: Entropy, now: float
    ) -> None:
        self._dtls = dtls
        self._channels = DataChannels(
            is_dtls_client=is_dtls_client, max_message_size=max_message_size, entropy=entropy, now=now
        )
        self._channel_id = self._channels.open(LABEL, now=now)
        self._flush(now)

    @property
    def drops(self) -> Drops:
        """What SCTP has dropped, by reason."""
        return self._channels.drops

    def send(self, text: str, now: float) -> None:
        """Send an event.

        Raises:
            LocalProtocolError: it is too long for the server, or too much waits already.
        """
        self._channels.send(self._channel_id, text, now)
        self._flush(now)

    def receive(self, data: bytes, now: float) -> Sequence[Event]:
        """Take the application data of one DTLS record."""
        return self._follow(self._channels.receive_datagram(data, now), now)

    def handle_timeout(self, now: float) -> Sequence[Event]:
        """Do what is due."""
        return self._follow(self._channels.handle_timeout(now), now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        return self._channels.next_timeout()

    def close(self, now: float) -> None:
        """End it; the goodbye leaves with what DTLS sends next."""
        self._channels.close(now)
        self._flush(now)

    def close_channel(self, now: float) -> None:
        """Close the channel alone, as a page does that keeps its connection: its stream is reset.

        Raises:
            LocalProtocolError: it is closed.
        """
        self._channels.close_channel(self._channel_id, now)
        self._flush(now)

    def abort(self, now: float) -> None:
        """End it without waiting for what is under way, as a browser does when a page goes away."""
        self._channels.abort(now, "the page went away")
        self._flush(now)

    def _follow(self, events: Iterable[Event], now: float) -> Sequence[Event]:
        passed: list[Event] = []
        for event in events:
            match event:
                case ChannelOpened():
                    passed.append(EventsOpened())
                case MessageReceived(message=str(text)):
                    passed.append(EventReceived(text=text))
                case Closed():
                    passed.append(EventsClosed(reason=event.reason))
                case _:
                    pass
        self._flush(now)
        return passed

    def _flush(self, now: float) -> None:
        if self._dtls.is_connected:
            for packet in self._channels.datagrams_to_send(now):
                self._dtls.send(packet)
