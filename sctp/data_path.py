"""The short way between bytes and the two halves, for DATA and SACK.

These two are nearly all that a transfer consists of. The records of `sctp.chunks` stay the definition of both; here
the same bytes are written and read without a record, a `Reader` or a `Writer` in between: see the numbers in
`docs/benchmarks.md`. `tests/sctp/test_sctp_data_path.py` compares both ways byte for byte.
"""

import struct
from collections.abc import Iterable, Sequence

import google_crc32c

from sctp.chunks.data import Data
from sctp.chunks.sack import Sack
from sctp.options import PORT
from sctp.tx.message import DATA_HEADER_SIZE, SentChunk

__all__ = [
    "COMMON_HEADER_SIZE",
    "DATA_CHUNK",
    "SACK_CHUNK",
    "START_AND_CHECKSUM",
    "PacketHeader",
    "pack_packet",
    "pack_sack",
    "read_chunks",
    "unpack_sack",
]

DATA_CHUNK = struct.Struct(">BBHIHHI")
"""Type, flags, length, TSN, stream, stream sequence number and PPID: a DATA chunk up to its user data."""

SACK_CHUNK = struct.Struct(">BBHIIHH")
"""Type, flags, length, cumulative TSN ack, a_rwnd, and how many gap blocks and duplicates follow."""

COMMON_HEADER_SIZE = 12

START_AND_CHECKSUM = struct.Struct("<8sI")
"""The common header: ports and verification tag, and the checksum."""

_COMMON_HEADER = struct.Struct(">HHI")
_CHUNK_HEADER = struct.Struct(">BBH")
_BEHIND_TSN = struct.Struct(">HHI")
_PAIR = struct.Struct(">HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_NO_CHECKSUM = bytes(4)

_crc32c = google_crc32c.value
_extend_crc32c = google_crc32c.extend


class PacketHeader:
    """The common header of all packets in one direction: only the checksum changes.

    Args:
        verification_tag: of the packets.

    Attributes:
        verification_tag: as given.
        start: the eight bytes before the checksum.
        checksum: that of a packet without chunks, to be extended by them.
    """

    __slots__ = ("checksum", "start", "verification_tag")

    def __init__(self, verification_tag: int) -> None:
        self.verification_tag = verification_tag
        self.start = _COMMON_HEADER.pack(PORT, PORT, verification_tag)
        self.checksum: int = _crc32c(self.start + _NO_CHECKSUM)

    def pack(self, chunks: Iterable[bytes]) -> bytes:
        """Write a packet of chunks that are serialized and padded."""
        body = b"".join(chunks)
        checksum: int = _extend_crc32c(self.checksum, body)
        return b"".join((self.start, checksum.to_bytes(4, "little"), body))

    def pack_data(self, data: Sequence[SentChunk], is_immediate: bool, before: Iterable[bytes] = ()) -> bytes:
        """Write a packet of DATA chunks.

        Args:
            data: the chunks.
            is_immediate: whether they ask for a SACK without delay (the I bit).
            before: serialized chunks in front of them.
        """
        pieces = [self.start, b"", *before]
        checksum = self.checksum
        immediate = is_immediate << 3
        for piece in before:
            checksum = _extend_crc32c(checksum, piece)
        for chunk in data:
            message, payload = chunk.message, chunk.payload
            size = len(payload)
            header = DATA_CHUNK.pack(
                0,
                chunk.flags | immediate,
                DATA_HEADER_SIZE + size,
                chunk.tsn & 0xFFFF_FFFF,
                message.stream_id,
                message.stream_sequence_number & 0xFFFF,
                message.ppid,
            )
            if size & 3:
                payload += _PADDING[size & 3]
            checksum = _extend_crc32c(_extend_crc32c(checksum, header), payload)
            pieces += (header, payload)
        pieces[1] = checksum.to_bytes(4, "little")
        return b"".join(pieces)

    def pack_series(self, chunks: Sequence[SentChunk], is_immediate: bool) -> list[bytes]:
        """Write packets of one DATA chunk each, of one message and without padding, as `tx.series` returns them."""
        first = chunks[0]
        message, size = first.message, len(first.payload)
        before_tsn = _CHUNK_HEADER.pack(Data.TYPE, first.flags | is_immediate << 3, DATA_HEADER_SIZE + size)
        behind_tsn = _BEHIND_TSN.pack(message.stream_id, message.stream_sequence_number & 0xFFFF, message.ppid)
        start, checksum_before = self.start, _extend_crc32c(self.checksum, before_tsn)
        packets = []
        for chunk in chunks:
            payload, varying = chunk.payload, (chunk.tsn & 0xFFFF_FFFF).to_bytes(4, "big") + behind_tsn
            checksum: int = _extend_crc32c(_extend_crc32c(checksum_before, varying), payload)
            packets.append(b"".join((start, checksum.to_bytes(4, "little"), before_tsn, varying, payload)))
        return packets


def pack_packet(verification_tag: int, chunks: Iterable[bytes]) -> bytes:
    """Write a packet of chunks that are serialized and padded."""
    return PacketHeader(verification_tag).pack(chunks)


def pack_sack(
    cumulative_tsn_ack: int, a_rwnd: int, blocks: Sequence[tuple[int, int]], duplicates: Sequence[int]
) -> bytes:
    """Write a SACK chunk; the arguments are the fields of the record."""
    length = SACK_CHUNK.size + 4 * (len(blocks) + len(duplicates))
    header = SACK_CHUNK.pack(Sack.TYPE, 0, length, cumulative_tsn_ack, a_rwnd, len(blocks), len(duplicates))
    if length == SACK_CHUNK.size:
        return header
    pairs = [_PAIR.pack(*block) for block in blocks]
    return b"".join((header, *pairs, *[tsn.to_bytes(4, "big") for tsn in duplicates]))


def read_chunks(data: bytes) -> list[tuple[int, int, int, int]] | None:
    """Find the chunks of a packet that holds nothing but whole, well-formed DATA and SACK chunks.

    Returns:
        Type, flags, and where the chunk begins and ends, of each; None when the packet has to be parsed in full.
    """
    found = []
    position, end = COMMON_HEADER_SIZE, len(data)
    while position < end:
        if position + DATA_HEADER_SIZE > end:
            return None
        chunk_type, flags, length = _CHUNK_HEADER.unpack_from(data, position)
        stop = position + length
        if length < DATA_HEADER_SIZE or stop > end:
            return None
        if chunk_type == Sack.TYPE:
            block_count, duplicate_count = _PAIR.unpack_from(data, position + 12)
            if length != SACK_CHUNK.size + 4 * (block_count + duplicate_count):
                return None
        elif chunk_type != Data.TYPE:
            return None
        found.append((chunk_type, flags, position, stop))
        position = stop + (-length & 3)
    # Padding that is cut off is a partial chunk: the full parser knows what to do.
    return found if position == end else None


def unpack_sack(data: bytes, start: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Read a SACK that `read_chunks` has found.

    Returns:
        Cumulative TSN ack (wrapped), a_rwnd, and the gap blocks.
    """
    _, _, _, cumulative_tsn_ack, a_rwnd, block_count, _ = SACK_CHUNK.unpack_from(data, start)
    if not block_count:
        return cumulative_tsn_ack, a_rwnd, []
    start += SACK_CHUNK.size
    blocks = [_PAIR.unpack_from(data, at) for at in range(start, start + 4 * block_count, 4)]
    return cumulative_tsn_ack, a_rwnd, blocks
