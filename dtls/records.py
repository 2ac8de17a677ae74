"""Record headers of both versions: cutting a datagram into records, and building headers.

The first byte tells the format (RFC 9147 §4.1). Plaintext records and all records of DTLS 1.2 have this header:

    0        1        3        5                 11       13
    +--------+--------+--------+-----------------+--------+
    |  type  | version| epoch  | sequence number | length |
    +--------+--------+--------+-----------------+--------+

Protected records of DTLS 1.3 have the unified header, two to five bytes without a connection id:

    0 1 2 3 4 5 6 7
    +-+-+-+-+-+-+-+-+
    |0|0|1|C|S|L|E E|   C: connection id follows; S: sequence number has 16 bits, else 8; L: a length follows;
    +-+-+-+-+-+-+-+-+   E: the low two bits of the epoch
    | sequence 8/16 |
    +-+-+-+-+-+-+-+-+
    | length 0/16   |
    +-+-+-+-+-+-+-+-+

This is a hot path once an association carries data: headers are read with precompiled structs into tuples, and not
through `Reader` into attrs records.
"""

import enum
import struct
from collections.abc import Iterator
from typing import NamedTuple

from dtls.drops import DropReason
from dtls.versions import Version

__all__ = [
    "MAX_CONTENT_SIZE",
    "PLAINTEXT_HEADER_SIZE",
    "UNIFIED_HEADER_SIZE",
    "ContentType",
    "RawRecord",
    "Record",
    "RecordNumber",
    "plaintext_header",
    "split_datagram",
    "unified_header",
]

PLAINTEXT_HEADER_SIZE = 13
UNIFIED_HEADER_SIZE = 5
"""Size of the form that we send: 16-bit sequence number, length present."""

MAX_CONTENT_SIZE = 1 << 14
"""RFC 9147 §4, RFC 8446 §5.1: the content of a record has at most 2^14 bytes."""

_PLAINTEXT = struct.Struct(">BHHHIH")  # type, version, epoch, sequence (16 + 32 bits), length
_UNIFIED = struct.Struct(">BHH")
_U16 = struct.Struct(">H")

_FIXED_BITS, _FIXED_MASK = 0b0010_0000, 0b1110_0000
_C, _S, _L, _EPOCH_MASK = 0x10, 0x08, 0x04, 0x03


class ContentType(enum.IntEnum):
    """What a record carries."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23
    ACK = 26


_PLAINTEXT_TYPES = frozenset(ContentType)


class RecordNumber(NamedTuple):
    """What tells a record from all others of its direction; sorts in the order of sending."""

    epoch: int
    sequence: int


class RawRecord(NamedTuple):
    """A record cut out of a datagram, not opened yet.

    Attributes:
        is_unified: whether it has the unified header of DTLS 1.3.
        content_type: of the outer header; 0 with a unified header, which hides it.
        epoch: the whole epoch; with a unified header its low two bits.
        sequence: the whole sequence number; with a unified header its masked low bits.
        header: the header's bytes as they came.
        payload: what follows the header.
    """

    is_unified: bool
    content_type: int
    epoch: int
    sequence: int
    header: bytes
    payload: bytes


class Record(NamedTuple):
    """A record after its protection was checked and removed."""

    epoch: int
    sequence: int
    content_type: int
    content: bytes

    @property
    def number(self) -> RecordNumber:
        """The record's number, for ACKs."""
        return RecordNumber(self.epoch, self.sequence)


def split_datagram(data: bytes) -> Iterator[RawRecord | DropReason]:
    """Cut a datagram into records.

    Yields:
        Records in their order. Where the rest cannot be cut, the reason, as the last item.
    """
    position, end = 0, len(data)
    while position < end:
        first = data[position]
        if first in _PLAINTEXT_TYPES:
            payload_at = position + PLAINTEXT_HEADER_SIZE
            if payload_at > end:
                yield DropReason.TRUNCATED_RECORD
                return
            # RFC 9147 §4: legacy_record_version is ignored for all purposes.
            _, _, epoch, sequence_high, sequence_low, length = _PLAINTEXT.unpack_from(data, position)
            sequence, is_unified = sequence_high << 32 | sequence_low, False
        elif first & _FIXED_MASK == _FIXED_BITS:
            if first & _C:
                # RFC 9147 §9: no connection id was negotiated, so such a record is refused; where it ends is unknown.
                yield DropReason.CONNECTION_ID
                return
            payload_at = position + 1 + (2 if first & _S else 1) + (2 if first & _L else 0)
            if payload_at > end:
                yield DropReason.TRUNCATED_RECORD
                return
            sequence = _U16.unpack_from(data, position + 1)[0] if first & _S else data[position + 1]
            # RFC 9147 §4: a record without a length is the last one of its datagram.
            length = _U16.unpack_from(data, payload_at - 2)[0] if first & _L else end - payload_at
            epoch, is_unified = first & _EPOCH_MASK, True
        else:
            yield DropReason.NOT_DTLS
            return
        next_position = payload_at + length
        if next_position > end:
            yield DropReason.TRUNCATED_RECORD
            return
        yield RawRecord(
            is_unified,
            0 if is_unified else first,
            epoch,
            sequence,
            bytes(data[position:payload_at]),
            bytes(data[payload_at:next_position]),
        )
        position = next_position


def plaintext_header(
    content_type: int, epoch: int, sequence: int, length: int, version: int = Version.DTLS_1_2
) -> bytes:
    """Build the 13-byte header."""
    return _PLAINTEXT.pack(content_type, version, epoch, sequence >> 32, sequence & 0xFFFF_FFFF, length)


def unified_header(epoch: int, sequence: int, length: int) -> bytes:
    """Build the unified header in the form that we send, with the sequence number in the clear."""
    return _UNIFIED.pack(_FIXED_BITS | _S | _L | epoch & _EPOCH_MASK, sequence & 0xFFFF, length)
