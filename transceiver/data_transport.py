"""Data channels inside of DTLS: each SCTP packet travels as the application data of one record.

Source: RFC 8261 §3 and §4.
"""

from collections.abc import Iterable

from dtls.association import DtlsAssociation
from sctp.channels import DataChannels
from wire.core import Event

__all__ = ["DataTransport"]


class DataTransport:
    """The data channels of a call, on its DTLS association.

    Args:
        association: is connected.
        channels: were just made.

    Attributes:
        channels: as given.
    """

    def __init__(self, association: DtlsAssociation, channels: DataChannels) -> None:
        self.channels = channels
        self._association = association

    def receive_packet(self, data: bytes, now: float) -> Iterable[Event]:
        """Take the application data of one record."""
        return self.channels.receive_datagram(data, now)

    def handle_timeout(self, now: float) -> Iterable[Event]:
        """Repeat, acknowledge, give up: what is due."""
        return self.channels.handle_timeout(now)

    def send_message(self, channel_id: int, message: str | bytes, now: float) -> None:
        """Send a message; it leaves with the next `flush`.

        Raises:
            LocalProtocolError: the channel is not open, the client takes no message so long, or too much waits already.
        """
        self.channels.send(channel_id, message, now)

    def flush(self, now: float) -> None:
        """Hand what waits to DTLS."""
        if not self._association.is_connected:
            return
        for packet in self.channels.datagrams_to_send(now):
            self._association.send(packet)

    def close(self, now: float) -> None:
        """End all channels; the goodbye leaves with what DTLS sends next."""
        self.channels.close(now)
        self.flush(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        return self.channels.next_timeout()
