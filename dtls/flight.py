"""A flight of ours: messages that are sent together, sent again until they are answered, and acknowledged in parts.

Source: RFC 9147 §5.7, §7.2.
"""

from collections.abc import Iterable, Sequence

from dtls.fragmentation import ChangeCipherSpec, FlightPart, Piece, plan_datagrams
from dtls.handshake.message import HandshakeMessage
from dtls.record_layer import RecordLayer
from dtls.records import RecordNumber

__all__ = ["Flight"]

_MAX_RECORDS_REMEMBERED = 256
"""Bound on what ACKs can be matched with: a dozen transmissions of the largest flight."""


class Flight:
    """The messages we sent last, and what the peer has of them.

    Args:
        contents: in the order of sending.
    """

    __slots__ = ("_parts", "_sent")

    def __init__(self, contents: Sequence[HandshakeMessage | ChangeCipherSpec]) -> None:
        self._parts = [
            FlightPart(
                content=content, pending=[(0, len(content.body) if isinstance(content, HandshakeMessage) else 0)]
            )
            for content in contents
        ]
        self._sent: dict[RecordNumber, list[Piece]] = {}

    @property
    def contents(self) -> tuple[HandshakeMessage | ChangeCipherSpec, ...]:
        """What it sends."""
        return tuple(part.content for part in self._parts)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the peer has all of it."""
        return not any(part.pending for part in self._parts)

    def transmit(self, records: RecordLayer, mtu: int) -> None:
        """Send all that is not acknowledged, in new records of the epochs it belongs to.

        Where an epoch has come to its ceiling, the rest is left to the next repetition.
        """
        # RFC 9147 §4.2.1: retransmissions MUST use the epoch and keys of the original.
        datagrams = plan_datagrams(self._parts, mtu, lambda epoch: records.outbound(epoch).overhead)
        for datagram in datagrams:
            sealed = []
            for planned in datagram:
                protection = records.outbound(planned.epoch)
                number = RecordNumber(planned.epoch, protection.next_sequence)
                record = records.seal(planned.content_type, planned.serialize_content(), planned.epoch)
                if record is None:
                    return
                sealed.append(record)
                if len(self._sent) < _MAX_RECORDS_REMEMBERED:
                    self._sent[number] = planned.pieces
            records.send_datagram(b"".join(sealed))

    def acknowledge(self, numbers: Iterable[RecordNumber]) -> bool:
        """The peer says that it has these records.

        Returns:
            Whether that was news. Numbers that were never ours are nothing new.
        """
        is_news = False
        for number in numbers:
            for piece in self._sent.pop(number, ()):
                before = piece.part.pending
                piece.part.pending = _without(before, piece.start, piece.end)
                is_news |= piece.part.pending != before
        return is_news

    def acknowledge_all(self) -> None:
        """The peer answered, so it has all of it (RFC 9147 §7)."""
        for part in self._parts:
            part.pending = []
        self._sent = {}


def _without(ranges: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Remove start..end from sorted ranges; an empty range goes when start..end touches it."""
    left = []
    for low, high in ranges:
        if high < start or low > end:
            left.append((low, high))
            continue
        if low < start:
            left.append((low, min(high, start)))
        if high > end:
            left.append((max(low, end), high))
    return left
