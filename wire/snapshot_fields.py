"""How times, and values that may be missing, are written into a snapshot.

Times are written as distances from the present: the reader's clock is another one.
"""

import struct

from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = [
    "read_flag",
    "read_float",
    "read_optional_number",
    "read_optional_time",
    "read_text",
    "read_time",
    "write_float",
    "write_optional_number",
    "write_optional_time",
    "write_text",
    "write_time",
]

_FLOAT = struct.Struct(">d")


def write_float(writer: Writer, value: float) -> None:
    """Write a number with all its bits."""
    writer.octets(_FLOAT.pack(value))


def read_float(reader: Reader, field: str) -> float:
    """Read a number; neither infinite nor none."""
    at = reader.offset
    value: float = _FLOAT.unpack(reader.octets(_FLOAT.size, field))[0]
    if not -1e12 < value < 1e12:
        raise MalformedError(field, at, "is no time")
    return value


def write_time(writer: Writer, when: float, now: float) -> None:
    """Write how far away a time is."""
    write_float(writer, when - now)


def read_time(reader: Reader, now: float, field: str) -> float:
    """Read a time on the clock of `now`."""
    return now + read_float(reader, field)


def write_optional_time(writer: Writer, when: float | None, now: float) -> None:
    """Write how far away a time is, if there is one."""
    writer.u8(when is not None)
    if when is not None:
        write_time(writer, when, now)


def read_optional_time(reader: Reader, now: float, field: str) -> float | None:
    """Read a time, or None."""
    return read_time(reader, now, field) if read_flag(reader, field) else None


def write_optional_number(writer: Writer, value: int | None) -> None:
    """Write a number of 64 bits, if there is one."""
    writer.u8(value is not None)
    if value is not None:
        writer.u64(value)


def read_optional_number(reader: Reader, field: str) -> int | None:
    """Read a number, or None."""
    return reader.u64(field) if read_flag(reader, field) else None


def read_flag(reader: Reader, field: str) -> bool:
    """Read a byte that is 0 or 1."""
    at = reader.offset
    value = reader.u8(field)
    if value > 1:
        raise MalformedError(field, at, "is neither 0 nor 1")
    return bool(value)


def write_text(writer: Writer, text: str, field: str = "text") -> None:
    """Write a text of up to 65535 bytes."""
    writer.vector(2, text.encode(), field)


def read_text(reader: Reader, field: str) -> str:
    """Read a text."""
    at, data = reader.offset, reader.vector(2, field).rest()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError(field, at, "is no UTF-8") from error
