"""Bounded reading and writing of big-endian bytes.

All rules about lengths live here. A `Reader` never reads past its end, says which field it was reading when it
failed and where, and `finish` refuses what is left over. Nested structures get a `Reader` of their own over a
slice, with offsets that still count from the outermost buffer.
"""

import struct
from typing import Self

from wire.errors import LocalProtocolError, MalformedError

__all__ = ["Reader", "Writer"]

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")


class Reader:
    """Reads a buffer once, front to back, and never beyond its end.

    Args:
        data: the bytes to read; not copied.
        start: offset of the first byte to read.
        end: offset behind the last byte to read; None for the end of `data`.
        base: what to add to offsets in error messages, when `data` is itself a piece of something larger.
    """

    __slots__ = ("_base", "_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None, base: int = 0) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end
        self._base = base

    def __len__(self) -> int:
        """How many bytes are left."""
        return self._end - self._position

    @property
    def offset(self) -> int:
        """Offset of the next byte from the start of the outermost buffer."""
        return self._base + self._position

    def _take(self, count: int, field: str) -> int:
        position = self._position
        if count > self._end - position:
            raise self._too_short(count, field)
        self._position = position + count
        return position

    def _too_short(self, count: int, field: str) -> MalformedError:
        return MalformedError(field, self.offset, f"needs {count} bytes, {len(self)} are left")

    # What hellos are full of, `u16` and `vector`, checks its bounds in place instead of asking `_take`: 0.08 and 0.33
    # us instead of 0.11 and 0.46.

    def u8(self, field: str) -> int:
        """Read an unsigned 8-bit number."""
        return self._data[self._take(1, field)]

    def u16(self, field: str) -> int:
        """Read an unsigned 16-bit number."""
        position = self._position
        if position + 2 > self._end:
            raise self._too_short(2, field)
        self._position = position + 2
        return self._data[position] << 8 | self._data[position + 1]

    def u24(self, field: str) -> int:
        """Read an unsigned 24-bit number."""
        position = self._take(3, field)
        return int.from_bytes(self._data[position : position + 3], "big")

    def u32(self, field: str) -> int:
        """Read an unsigned 32-bit number."""
        value: int = _U32.unpack_from(self._data, self._take(4, field))[0]
        return value

    def u48(self, field: str) -> int:
        """Read an unsigned 48-bit number."""
        position = self._take(6, field)
        return int.from_bytes(self._data[position : position + 6], "big")

    def u64(self, field: str) -> int:
        """Read an unsigned 64-bit number."""
        value: int = _U64.unpack_from(self._data, self._take(8, field))[0]
        return value

    def octets(self, count: int, field: str) -> bytes:
        """Read exactly `count` bytes, as a copy."""
        position = self._take(count, field)
        return bytes(self._data[position : position + count])

    def rest(self) -> bytes:
        """Read all that is left, as a copy."""
        position, self._position = self._position, self._end
        return bytes(self._data[position : self._end])

    def sub(self, count: int, field: str) -> "Reader":
        """Return a reader over the next `count` bytes, and step over them."""
        position = self._take(count, field)
        return Reader(self._data, position, position + count, self._base)

    def vector(self, length_size: int, field: str, minimum: int = 0, maximum: int | None = None) -> "Reader":
        """Read a length of `length_size` bytes (1, 2 or 3) and return a reader over that many bytes.

        Raises:
            MalformedError: the length is out of `minimum` to `maximum`, or larger than what is left.
        """
        at = self._position
        start = at + length_size
        if start > self._end:
            raise self._too_short(length_size, field)
        length = int.from_bytes(self._data[at:start], "big")
        self._position = start
        if length < minimum or (maximum is not None and length > maximum):
            raise MalformedError(field, self._base + at, f"length {length} is out of range")
        if length > self._end - start:
            raise self._too_short(length, field)
        self._position = end = start + length
        return Reader(self._data, start, end, self._base)

    def skip(self, count: int, field: str) -> None:
        """Step over `count` bytes."""
        self._take(count, field)

    def finish(self, structure: str) -> None:
        """Refuse trailing bytes.

        Raises:
            MalformedError: bytes are left over.
        """
        if self._position != self._end:
            raise MalformedError(structure, self.offset, f"{len(self)} trailing bytes")


class Writer:
    """Collects big-endian fields into one buffer.

    A value that does not fit its field is our own mistake and raises `LocalProtocolError`.
    """

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        """How many bytes were written."""
        return len(self._buffer)

    def _number(self, value: int, size: int, field: str) -> Self:
        try:
            self._buffer += value.to_bytes(size, "big")
        except OverflowError as error:
            raise LocalProtocolError(f"{field}: {value} does not fit {size} bytes") from error
        return self

    def u8(self, value: int, field: str = "u8") -> Self:
        """Write an unsigned 8-bit number."""
        return self._number(value, 1, field)

    def u16(self, value: int, field: str = "u16") -> Self:
        """Write an unsigned 16-bit number."""
        return self._number(value, 2, field)

    def u24(self, value: int, field: str = "u24") -> Self:
        """Write an unsigned 24-bit number."""
        return self._number(value, 3, field)

    def u32(self, value: int, field: str = "u32") -> Self:
        """Write an unsigned 32-bit number."""
        return self._number(value, 4, field)

    def u48(self, value: int, field: str = "u48") -> Self:
        """Write an unsigned 48-bit number."""
        return self._number(value, 6, field)

    def u64(self, value: int, field: str = "u64") -> Self:
        """Write an unsigned 64-bit number."""
        return self._number(value, 8, field)

    def octets(self, value: bytes) -> Self:
        """Write bytes as they are."""
        self._buffer += value
        return self

    def vector(self, length_size: int, value: bytes, field: str = "vector") -> Self:
        """Write the length of `value` in `length_size` bytes, then `value`."""
        self._number(len(value), length_size, field)
        self._buffer += value
        return self

    def pad(self, multiple: int, filler: bytes = b"\0") -> Self:
        """Write `filler` until the length is a multiple of `multiple`."""
        self._buffer += filler * (-len(self._buffer) % multiple)
        return self

    def finish(self) -> bytes:
        """Return all that was written."""
        return bytes(self._buffer)
