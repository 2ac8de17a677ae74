"""The short way between bytes and the two halves, for DATA and SACK.

These two are nearly all that a transfer consists of. The records of `sctp.chunks` stay the definition of both; here
the same bytes are written and read without a record, a `Reader` or a `Writer` in between. Measured for one DATA chunk
of 1160 bytes on the reference machine: serializing takes 0.6 us instead of 6.6, a packet with it is parsed in
2.0 us instead of 11. `tests/sctp/test_sctp_data_path.py` compares both ways byte for byte.
"""

import struct
from collections.abc import Iterable

import google_crc32c

from sctp.chunks.data import Data
from sctp.chunks.sack import Sack
from sctp.options import PORT
from sctp.tx.message import DATA_HEADER_SIZE, SentChunk

__all__ = ["DATA_VALUE", "pack_data", "pack_packet", "read_chunks", "unpack_sack", "verify_header"]

DATA_VALUE = struct.Struct(">IHHI")
"""TSN, stream, stream sequence number and PPID: what precedes the user data in the value of a DATA chunk."""

_COMMON_HEADER = struct.Struct(">HHI")
_DATA_HEADER = struct.Struct(">BBHIHHI")
_SACK_VALUE = struct.Struct(">IIHH")
_PAIR = struct.Struct(">HH")
_CHUNK_HEADER = struct.Struct(">BBH")
_COMMON_HEADER_SIZE = 12
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_NO_CHECKSUM = bytes(4)
_PORTS = PORT.to_bytes(2, "big") * 2

_crc32c = google_crc32c.value


def pack_packet(verification_tag: int, chunks: Iterable[bytes]) -> bytes:
    """Write a packet of chunks that are serialized and padded."""
    header = _COMMON_HEADER.pack(PORT, PORT, verification_tag)
    body = b"".join(chunks)
    checksum: int = _crc32c(b"".join((header, _NO_CHECKSUM, body)))
    return b"".join((header, checksum.to_bytes(4, "little"), body))


def pack_data(chunk: SentChunk, *, is_immediate: bool) -> bytes:
    """Write a DATA chunk, padded."""
    message, payload = chunk.message, chunk.payload
    size = len(payload)
    flags = chunk.is_end | chunk.is_beginning << 1 | message.is_unordered << 2 | is_immediate << 3
    header = _DATA_HEADER.pack(
        Data.TYPE,
        flags,
        DATA_HEADER_SIZE + size,
        chunk.tsn & 0xFFFF_FFFF,
        message.stream_id,
        message.stream_sequence_number & 0xFFFF,
        message.ppid,
    )
    return b"".join((header, payload, _PADDING[size & 3]))


def verify_header(data: bytes) -> tuple[int, bool] | None:
    """Check length and checksum of a packet.

    Returns:
        Its verification tag, and whether its ports are ours; None when it is no packet.
    """
    if len(data) < _COMMON_HEADER_SIZE + 4:
        return None
    header = data[:8]
    checksum: int = _crc32c(b"".join((header, _NO_CHECKSUM, data[_COMMON_HEADER_SIZE:])))
    if checksum.to_bytes(4, "little") != data[8:12]:
        return None
    return int.from_bytes(header[4:8], "big"), header[:4] == _PORTS


def read_chunks(data: bytes) -> list[tuple[int, int, int, int]] | None:
    """Find the chunks of a packet that holds nothing but whole, well-formed DATA and SACK chunks.

    Returns:
        Type, flags, and where the value begins and ends, of each; None when the packet has to be parsed in full.
    """
    found = []
    position, end = _COMMON_HEADER_SIZE, len(data)
    while position < end:
        if position + DATA_HEADER_SIZE > end:
            return None
        chunk_type, flags, length = _CHUNK_HEADER.unpack_from(data, position)
        stop = position + length
        if (chunk_type and chunk_type != Sack.TYPE) or length < DATA_HEADER_SIZE or stop > end:
            return None
        if chunk_type and length != 16 + 4 * (
            int.from_bytes(data[position + 12 : position + 14], "big")
            + int.from_bytes(data[position + 14 : position + 16], "big")
        ):
            return None
        found.append((chunk_type, flags, position + 4, stop))
        position = stop + (-length & 3)
    # Padding that is cut off is a partial chunk: the full parser knows what to do.
    return found if position == end else None


def unpack_sack(data: bytes, start: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Read the value of a SACK that `read_chunks` has found.

    Returns:
        Cumulative TSN ack (wrapped), a_rwnd, and the gap blocks.
    """
    cumulative_tsn_ack, a_rwnd, block_count, _ = _SACK_VALUE.unpack_from(data, start)
    start += _SACK_VALUE.size
    blocks = [_PAIR.unpack_from(data, at) for at in range(start, start + 4 * block_count, 4)] if block_count else []
    return cumulative_tsn_ack, a_rwnd, blocks
