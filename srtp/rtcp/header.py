"""The header that every RTCP packet starts with.

     0                   1                   2                   3
    |V=2|P|  count  |  packet type  |   length in words, minus one  |

`count` counts what the packet holds, or tells the format of a feedback message.

Source: RFC 3550 §6.4.1; RFC 4585 §6.1.
"""

import struct

from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["MAX_COUNT", "read_packet", "write_packet"]

MAX_COUNT = 31
"""The largest count that fits."""

_HEADER = struct.Struct(">BBH")
_VERSION = 2
_PADDING = 0x20


def read_packet(reader: Reader) -> tuple[int, int, Reader, int]:
    """Read a header, and step over the packet's body.

    Returns:
        Packet type, count, a reader over the body without its padding, and the size of the padding.

    Raises:
        MalformedError: version, length or padding are wrong.
    """
    at = reader.offset
    first = reader.u8("V, P, count")
    if first >> 6 != _VERSION:
        raise MalformedError("V", at, f"version is {first >> 6}")
    packet_type = reader.u8("packet type")
    length = 4 * reader.u16("length")
    at = reader.offset
    body = reader.octets(length, "RTCP body")
    padding = 0
    # DEVIATES from RFC 3550 §6.4.1, where only the last packet of a compound may be padded, by whole words: libwebrtc
    # concatenates transport feedback packets that are padded each, by one to three bytes.
    if first & _PADDING:
        # The last byte counts the padding, itself included.
        padding = body[-1] if body else 0
        if not 1 <= padding <= length:
            raise MalformedError("padding", at, f"{padding} bytes of {length}")
    return packet_type, first & MAX_COUNT, Reader(body, end=length - padding, base=at), padding


def write_packet(writer: Writer, packet_type: int, count: int, body: Writer, padding: int = 0) -> None:
    """Write a header and a body, `padding` bytes of padding included.

    Raises:
        LocalProtocolError: the count does not fit, or the body is not made of 32-bit words.
    """
    if not 0 <= count <= MAX_COUNT:
        raise LocalProtocolError(f"an RTCP packet counts up to {MAX_COUNT}, not {count}")
    if len(body) % 4:
        raise LocalProtocolError("an RTCP packet is made of 32-bit words")
    first = _VERSION << 6 | (_PADDING if padding else 0) | count
    try:
        writer.octets(_HEADER.pack(first, packet_type, len(body) // 4)).octets(body.finish())
    except struct.error as error:
        raise LocalProtocolError(f"RTCP header: {error}") from error
