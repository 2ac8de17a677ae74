"""The client's datagram between relay and transceiver: a header in front, the datagram untouched behind it.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-------+-------+---------------+-------------------------------+
    | ver=1 | type  |  flags    6 V |            ingress            |
    +-------+-------+---------------+-------------------------------+
    |          generation           |          client port          |
    +-------------------------------+-------------------------------+
    |                                                               |
    |                            session                            |
    +---------------------------------------------------------------+
    |                                                               |
    |                           flow tag                            |
    +---------------------------------------------------------------+
    |         client address: 4 bytes, or 16 with flag 6 (IPv6)     |
    +---------------------------------------------------------------+

`type` is UP (to the transceiver) or DOWN (to the relay); CONTROL, SEALED and BUNDLE are not this header, but
`relay.hop.sealing`, `relay.hop.tunnel` and `relay.hop.bundles`.
Flag V (VALIDATED, DOWN only) is the transceiver's word that the client was proven to receive at this address. The
flow tag is opaque to the transceiver, which echoes it (see `relay.tags`). `generation` counts the owners that a
session has had; it is 0 until sessions move.

Between two of its changes (a path is proven, a session moves) the header of a path is a constant. So neither end
parses on its hot path: both keep a dict from the header's bytes to what they mean, and look at fields only when the
look-up fails. `answering` makes the constant DOWN header of a path from the UP header that announced it. Beyond its
first two bytes, its *kind*, the header is the same in both directions; a relay keeps only that, as the flow's *path*.
"""

import struct
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

from wire.core import Address
from wire.errors import LocalProtocolError

__all__ = [
    "BUNDLE",
    "CONTROL",
    "DOWN",
    "FLAG_IPV6",
    "FLAG_VALIDATED",
    "IPV4_HEADER_SIZE",
    "IPV6_HEADER_SIZE",
    "KIND_SIZE",
    "SEALED",
    "TAG_SIZE",
    "UP",
    "UP_IPV4",
    "UP_IPV6",
    "VALIDATED_IPV4",
    "VALIDATED_IPV6",
    "VERSION",
    "Header",
    "answering",
    "generation_of",
    "ingress_of",
    "pack_header",
    "pack_host",
    "parse_header",
    "up_header_of",
    "with_generation",
]

VERSION = 1

UP = VERSION << 4 | 1
"""First byte of a datagram on its way to the transceiver."""
DOWN = VERSION << 4 | 2
"""First byte of a datagram on its way to the client."""
CONTROL = VERSION << 4 | 3
"""First byte of a sealed control message."""
SEALED = VERSION << 4 | 4
"""First byte of a sealed datagram with its header."""
BUNDLE = VERSION << 4 | 5
"""First byte of several datagrams in one."""

FLAG_VALIDATED = 0x01
FLAG_IPV6 = 0x02

TAG_SIZE = 8
IPV4_HEADER_SIZE = 28
IPV6_HEADER_SIZE = 40

KIND_SIZE = 2
"""The kind of a header: type and flags."""
UP_IPV4, UP_IPV6 = bytes((UP, 0)), bytes((UP, FLAG_IPV6))
"""Kinds of UP headers."""
VALIDATED_IPV4, VALIDATED_IPV6 = bytes((DOWN, FLAG_VALIDATED)), bytes((DOWN, FLAG_VALIDATED | FLAG_IPV6))
"""Kinds of DOWN headers to a proven path."""

_FIXED = struct.Struct(">BBHHHQ8s")


class Header(NamedTuple):
    """What a header says.

    Attributes:
        direction: UP or DOWN.
        validated: the transceiver says that the path is proven.
        ingress: number of the relay's public address that the client talks to.
        generation: how many owners the session had before the present one.
        client: the client's true address.
        session: number of the session.
        tag: the flow tag, 8 bytes.
        size: length of the header; the client's datagram starts there.
    """

    direction: int
    validated: bool
    ingress: int
    generation: int
    client: Address
    session: int
    tag: bytes
    size: int


def pack_host(host: str) -> bytes:
    """Return an IP address as its 4 or 16 bytes.

    Raises:
        LocalProtocolError: not an IP address, or one with a zone, which means nothing on another host.
    """
    try:
        return inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except OSError as error:
        raise LocalProtocolError(f"not an IP address that can be forwarded: {host!r}") from error


def pack_header(
    direction: int,
    *,
    ingress: int,
    client: Address,
    session: int,
    tag: bytes,
    generation: int = 0,
    validated: bool = False,
) -> bytes:
    """Write a header.

    Args:
        direction: UP or DOWN.
        ingress: 0 to 65535.
        client: the client's IP address and port.
        session: 64 bits.
        tag: 8 bytes.
        generation: 0 to 65535.
        validated: the path is proven; DOWN only.

    Raises:
        LocalProtocolError: a value does not fit its field.
    """
    host = pack_host(client[0])
    flags = (FLAG_VALIDATED if validated else 0) | (FLAG_IPV6 if len(host) == 16 else 0)
    if direction not in (UP, DOWN) or len(tag) != TAG_SIZE or (validated and direction == UP):
        raise LocalProtocolError("a hop header with a wrong direction, tag or flag")
    try:
        return _FIXED.pack(direction, flags, ingress, generation, client[1], session, tag) + host
    except struct.error as error:
        raise LocalProtocolError(f"hop header: {error}") from error


def parse_header(data: bytes) -> Header | None:
    """Read the header of a datagram from the hop.

    Returns:
        What it says, or None: cut short, another version or type, or a flag that has no meaning here. Whatever
        parses has exactly one spelling, so that bytes may stand for meaning.
    """
    if len(data) < IPV4_HEADER_SIZE:
        return None
    direction, flags, ingress, generation, port, session, tag = _FIXED.unpack_from(data)
    if direction == UP:
        allowed = FLAG_IPV6
    elif direction == DOWN:
        allowed = FLAG_IPV6 | FLAG_VALIDATED
    else:
        return None
    if flags & ~allowed:
        return None
    if flags & FLAG_IPV6:
        if len(data) < IPV6_HEADER_SIZE:
            return None
        size, host = IPV6_HEADER_SIZE, inet_ntop(AF_INET6, data[_FIXED.size : IPV6_HEADER_SIZE])
    else:
        size, host = IPV4_HEADER_SIZE, inet_ntop(AF_INET, data[_FIXED.size : IPV4_HEADER_SIZE])
    return Header(direction, bool(flags & FLAG_VALIDATED), ingress, generation, (host, port), session, tag, size)


def answering(up_header: bytes, *, validated: bool) -> bytes:
    """Return the DOWN header of the path whose UP header is given (28 or 40 bytes, without the datagram)."""
    return bytes((DOWN, up_header[1] & FLAG_IPV6 | (FLAG_VALIDATED if validated else 0))) + up_header[2:]


def ingress_of(header: bytes) -> int:
    """Return the number of the ingress that a header names."""
    return int.from_bytes(header[2:4], "big")


def generation_of(header: bytes) -> int:
    """Return how many owners the session had before, as a header says."""
    return int.from_bytes(header[4:6], "big")


def with_generation(header: bytes, generation: int) -> bytes:
    """Return a header, of 28 or 40 bytes, with another generation."""
    return header[:4] + generation.to_bytes(2, "big") + header[6:]


def up_header_of(path: bytes) -> bytes:
    """Return the UP header of a path, which is any header of it without its kind."""
    return (UP_IPV4 if len(path) == IPV4_HEADER_SIZE - KIND_SIZE else UP_IPV6) + path
