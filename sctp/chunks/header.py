"""The four bytes that every chunk starts with, and the zeros that it ends with.

     0                   1                   2                   3
    |  Chunk type   |  Chunk flags  |  Length: header and value     |
    |           Chunk value, zeros to the next 32-bit word         ..

Source: RFC 9260 §3.2.
"""

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["HEADER_LENGTH", "read_chunk", "write_chunk"]

HEADER_LENGTH = 4


def read_chunk(reader: Reader) -> tuple[int, int, Reader]:
    """Read a header, and step over the value and its padding.

    Returns:
        Chunk type, flags, and a reader over the value.

    Raises:
        MalformedError: the chunk is not completely there, or its length is less than its header.
    """
    chunk_type = reader.u8("Chunk Type")
    flags = reader.u8("Chunk Flags")
    at = reader.offset
    length = reader.u16("Chunk Length")
    if length < HEADER_LENGTH:
        raise MalformedError("Chunk Length", at, f"{length} is less than its header")
    value = reader.sub(length - HEADER_LENGTH, "Chunk Value")
    # RFC 9260 §3.2: the length does not count the padding, whose bytes the receiver MUST ignore.
    reader.skip(-length % 4, "Chunk Padding")
    return chunk_type, flags, value


def write_chunk(writer: Writer, chunk_type: int, flags: int, value: Writer) -> None:
    """Write a header, a value and the padding.

    Raises:
        LocalProtocolError: the value does not fit.
    """
    writer.u8(chunk_type, "chunk type").u8(flags, "chunk flags").u16(HEADER_LENGTH + len(value), "chunk length")
    # RFC 9260 §3.2: the padding is not included in the length.
    writer.octets(value.finish()).pad(4)
