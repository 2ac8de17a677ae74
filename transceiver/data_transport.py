"""Data channels inside of DTLS: each SCTP packet travels as the application data of one record.

Source: RFC 8261 §3 and §4.
"""

from collections.abc import Iterable
from typing import Self

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


_MOST_AT_ONCE = 256
"""More packets than SCTP gives out at a time."""


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
        self._set_up(association)

    def _set_up(self, association: DtlsAssociation) -> None:
        self._association = association
        self._held: list[bytes] = []

    # -- moving house

    def snapshot(self, now: float) -> bytes | None:
        """Return what another process needs to go on; None when the channels have ended."""
        return None if self.channels.is_closed else self.channels.snapshot(now)

    @classmethod
    def restore(
        cls, association: DtlsAssociation, data: bytes, *, entropy: Entropy, now: float, is_exact: bool
    ) -> Self:
        """Go on, inside of an association that was restored, with what `snapshot` returned.

        Args:
            association: is connected.
            data: what `snapshot` returned.
            entropy: source of unpredictable bytes.
            now: monotonic seconds.
            is_exact: whether it is the last word of the old owner; if not, SCTP is restarted.

        Raises:
            MalformedError: the data is something else.
        """
        self = cls.__new__(cls)
        self.channels = DataChannels.restore(data, options=_OPTIONS, entropy=entropy, now=now, is_restart=not is_exact)
        self._set_up(association)
        return self

    @property
    def is_acknowledged(self) -> bool:
        """Whether the client has all that it was to be sent, or will never have it."""
        return self.channels.is_closed or self.channels.is_acknowledged

    # -- inputs

    def receive_packet(self, data: bytes, now: float) -> list[Event]:
        """Take the application data of one record."""
        return _told(self.channels.receive_datagram(data, now))

    def handle_timeout(self, now: float) -> list[Event]:
        """Repeat, acknowledge, give up: what is due. While nothing may be sent, silence of the client means nothing."""
        if self._association.room <= 0:
            return []
        return _told(self.channels.handle_timeout(now))

    def send_message(self, channel_id: int, message: str | bytes, now: float) -> None:
        """Send a message; it leaves with the next `flush`.

        Raises:
            LocalProtocolError: the channel is not open, the client takes no message so long, or too much waits already.
        """
        self.channels.send(channel_id, message, now)

    def flush(self, now: float) -> None:
        """Hand what waits to DTLS; it is lost if that has ended, and waits while no record number may be used."""
        association = self._association
        if self._held or association.room < _MOST_AT_ONCE:
            self._flush_slowly(now)
            return
        for packet in self.channels.datagrams_to_send(now):
            if association.is_connected:  # it may end with any packet: a key protects only so many
                association.send(packet)

    def _flush_slowly(self, now: float) -> None:
        """Do so near the ceiling: what SCTP has given out already is kept here, the rest stays with SCTP."""
        association = self._association
        if not association.is_connected:
            self._held.clear()
            self.channels.datagrams_to_send(now)
            return
        if association.room > len(self._held):
            self._held += self.channels.datagrams_to_send(now)
        while self._held and association.room > 0 and association.is_connected:
            association.send(self._held.pop(0))

    def close(self, now: float) -> None:
        """End all channels; the goodbye leaves with what DTLS sends next."""
        self.channels.close(now)
        self.flush(now)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called."""
        return None if self._association.room <= 0 else self.channels.next_timeout()


def _told(events: Iterable[Event]) -> list[Event]:
    # The end of the channels is not that of the call; whoever listens to them decides.
    return [
        DataClosed(reason=event.reason, detail=event.detail) if isinstance(event, Closed) else event for event in events
    ]
