"""Laying out a flight: which bytes of which message go into which record of which datagram.

Pure: it plans, and seals nothing. Messages of one epoch share a record, records share a datagram, and what does not
fit is cut (RFC 9147 §5.5). So a server's flight is one datagram where it can be.
"""

from collections.abc import Callable, Iterable

import attrs

from dtls.handshake.message import FRAGMENT_HEADER_SIZE, HandshakeMessage
from dtls.records import ContentType
from wire.buffer import Writer
from wire.errors import LocalProtocolError

__all__ = ["ChangeCipherSpec", "FlightPart", "Piece", "PlannedRecord", "plan_datagrams"]

_SMALLEST_PIECE = 32
"""Bytes: a message is cut only where at least this much of it fits; a new datagram costs less than crumbs."""


@attrs.frozen(kw_only=True)
class ChangeCipherSpec:
    """1.2 only: the record between the last unprotected message and Finished (RFC 5246 §7.1).

    Attributes:
        epoch: that it is sent in, the one before the change.
    """

    epoch: int


@attrs.define(kw_only=True, eq=False)
class FlightPart:
    """Something that a flight sends, and what of it is still to be sent.

    Attributes:
        content: a whole message, or the one record that is none.
        pending: ranges of its body that nobody has acknowledged; an empty body is the range (0, 0).
    """

    content: HandshakeMessage | ChangeCipherSpec
    pending: list[tuple[int, int]]


@attrs.frozen
class Piece:
    """A range of one message's body."""

    part: FlightPart
    start: int
    end: int


@attrs.frozen
class PlannedRecord:
    """A record to be sealed.

    Attributes:
        epoch: to seal it in.
        content_type: of the record.
        pieces: what it carries; all parts in it are handshake messages, or it is one change_cipher_spec.
    """

    epoch: int
    content_type: ContentType
    pieces: list[Piece] = attrs.field(factory=list)

    def serialize_content(self) -> bytes:
        """Return what the record carries."""
        writer = Writer()
        for piece in self.pieces:
            message = piece.part.content
            if isinstance(message, ChangeCipherSpec):
                return b"\x01"
            writer.u8(message.type, "msg_type").u24(len(message.body), "length").u16(message.message_seq, "message_seq")
            writer.u24(piece.start, "fragment_offset").vector(3, message.body[piece.start : piece.end], "fragment")
        return writer.finish()


def plan_datagrams(parts: Iterable[FlightPart], mtu: int, overhead: Callable[[int], int]) -> list[list[PlannedRecord]]:
    """Lay out what is pending.

    Args:
        parts: in the order of the flight.
        mtu: bytes that a datagram may have.
        overhead: takes an epoch; returns how much longer than its content a record of it is.

    Returns:
        Datagrams, each a list of records.

    Raises:
        LocalProtocolError: not even a crumb of a message fits.
    """
    datagrams: list[list[PlannedRecord]] = []
    room = 0
    for part in parts:
        is_message = isinstance(part.content, HandshakeMessage)
        content_type = ContentType.HANDSHAKE if is_message else ContentType.CHANGE_CIPHER_SPEC
        header = FRAGMENT_HEADER_SIZE if is_message else 0
        epoch = part.content.epoch
        for start, end in part.pending:
            while True:
                last = datagrams[-1][-1] if datagrams else None
                continues = (
                    last is not None and last.epoch == epoch and last.content_type == content_type and is_message
                )
                cost = header + (0 if continues else overhead(epoch))
                if room - cost < min(end - start, _SMALLEST_PIECE):
                    # The next record begins a new datagram.
                    cost = header + overhead(epoch)
                    continues = False
                    datagrams.append([])
                    room = mtu
                    if room - cost < min(end - start, _SMALLEST_PIECE):
                        raise LocalProtocolError(f"nothing fits into {mtu} bytes")
                size = min(room - cost, end - start)
                if not continues:
                    datagrams[-1].append(PlannedRecord(epoch, content_type))
                datagrams[-1][-1].pieces.append(Piece(part, start, start + size))
                room -= cost + size
                start += size
                if start >= end:
                    break
    return datagrams
