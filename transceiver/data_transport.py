"""Data channels inside of DTLS: each SCTP packet travels as the application data of one record.

Source: RFC 8261 §3 and §4.
"""

from collections.abc import Iterable

from dtls.association import DtlsAssociation
from dtls.options import Role
from sctp.channels import DataChannels
from sctp.options import SctpOptions
from transceiver.session_events import DataClosed, DataDescription
from wire.core import Closed, Entropy, Event

__all__ = ["DataTransport"]

_OPTIONS = SctpOptions(rto_maximum=3.0, max_retransmits=20)
"""A client that comes back after seconds without a network is soon told what it missed: the wait between two tries does
not grow beyond 3 s, as in Chromium. Whether the client is there at all is for ICE to say, after 30 s."""


class DataTransport:
    """The data channels of a call, on its DTLS association.

    Args:
        association: is connected.
        role: ours in it.
        description: what was negotiated.
        entropy: source of unpredictable bytes.
        now: monotonic seconds.

    Attributes:
        channels: begin at once; the first packet leaves with the next `flush`.
    """

    def __init__(
        self, association: DtlsAssociation, role: Role, description: DataDescription, entropy: Entropy, now: float
    ) -> None:
        self.channels = DataChannels(
            is_dtls_client=role is Role.CLIENT,
            options=_OPTIONS,
            max_message_size=description.max_message_size,
            entropy=entropy,
            now=now,
        )
        self._association = association

    def receive_packet(self, data: bytes, now: float) -> list[Event]:
        """Take the application data of one record."""
        return _told(self.channels.receive_datagram(data, now))

    def handle_timeout(self, now: float) -> list[Event]:
        """Repeat, acknowledge, give up: what is due."""
        return _told(self.channels.handle_timeout(now))

    def send_message(self, channel_id: int, message: str | bytes, now: float) -> None:
        """Send a message; it leaves with the next `flush`.

        Raises:
            LocalProtocolError: the channel is not open, the client takes no message so long, or too much waits already.
        """
        self.channels.send(channel_id, message, now)

    def flush(self, now: float) -> None:
        """Hand what waits to DTLS; it is lost if that has ended."""
        association = self._association
        for packet in self.channels.datagrams_to_send(now):
            if association.is_connected:  # it may end with any packet: a key protects only so many
                association.send(packet)

    def close(self, now: float) -> None:
        """End all channels; the goodbye leaves with what DTLS sends next."""
        self.channels.close(now)
        self.flush(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        return self.channels.next_timeout()


def _told(events: Iterable[Event]) -> list[Event]:
    # The end of the channels is not that of the call; whoever listens to them decides.
    return [
        DataClosed(reason=event.reason, detail=event.detail) if isinstance(event, Closed) else event for event in events
    ]
