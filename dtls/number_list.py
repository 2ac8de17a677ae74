"""Lists of 16-bit numbers, which hellos are full of."""

import struct

from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["read_u16_list", "write_u16_list"]


def read_u16_list(reader: Reader, length_size: int, field: str) -> tuple[int, ...]:
    """Read a list of at least one number with its length in bytes in front.

    Raises:
        MalformedError: the list is empty, cut off, or has half a number.
    """
    inner = reader.vector(length_size, field, minimum=2)
    if len(inner) % 2:
        raise MalformedError(field, inner.offset, f"{len(inner)} bytes are no list of 16-bit numbers")
    return struct.unpack(f">{len(inner) // 2}H", inner.rest())


def write_u16_list(writer: Writer, length_size: int, numbers: tuple[int, ...], field: str) -> None:
    """Write a list of numbers with its length in bytes in front."""
    try:
        packed = struct.pack(f">{len(numbers)}H", *numbers)
    except struct.error as error:
        raise LocalProtocolError(f"{field}: a number does not fit 2 bytes") from error
    writer.vector(length_size, packed, field)
