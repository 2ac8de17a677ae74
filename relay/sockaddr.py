"""Addresses as the kernel writes them: `struct sockaddr_in` (16 bytes) and `struct sockaddr_in6` (28 bytes) of Linux.

     0       2       4               8                              16              24      28
    +-------+-------+---------------+-------------------------------+
    | AF_INET  port | address       | zero                          |
    +-------+-------+---------------+-------------------------------+---------------+-------+
    | AF_INET6 port | flow label    | address (16 bytes)                            | scope |
    +-------+-------+---------------+-----------------------------------------------+-------+

The family and the scope are in the machine's byte order, the port in the network's. What arrives on a socket of one
family has exactly one spelling per source, so these bytes can stand for the source in a dict, without being parsed.

Source: ip(7), ipv6(7).
"""

import socket
import struct
from functools import lru_cache

from wire.core import Address

__all__ = ["IPV4_SIZE", "IPV6_SIZE", "address_of_sockaddr", "parse_sockaddr", "serialize_sockaddr", "sockaddr_of"]

_FAMILY_AND_PORT = struct.Struct("=H2s")
_IPV6_TAIL = struct.Struct("=4x16sI")

IPV4_SIZE = 16
IPV6_SIZE = 28


def serialize_sockaddr(address: Address) -> bytes:
    """Write an address as the kernel does.

    Raises:
        OSError: not an IP address, or one in a zone that this machine does not have.
        OverflowError: no port.
    """
    host, port = address[0], address[1].to_bytes(2, "big")
    if ":" not in host:
        packed = socket.inet_pton(socket.AF_INET, host)
        return (_FAMILY_AND_PORT.pack(socket.AF_INET, port) + packed).ljust(IPV4_SIZE, b"\0")
    host, _, zone = host.partition("%")
    packed = socket.inet_pton(socket.AF_INET6, host)
    scope = socket.if_nametoindex(zone) if zone else 0
    return _FAMILY_AND_PORT.pack(socket.AF_INET6, port) + _IPV6_TAIL.pack(packed, scope)


def parse_sockaddr(data: bytes) -> Address:
    """Read what the kernel wrote; an address in a zone is spelled as `socket.recvfrom` does."""
    family, port = _FAMILY_AND_PORT.unpack_from(data)
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, data[4:8]), int.from_bytes(port, "big")
    packed, scope = _IPV6_TAIL.unpack_from(data, _FAMILY_AND_PORT.size)
    host = socket.inet_ntop(socket.AF_INET6, packed)
    return f"{host}%{_zone(scope)}" if scope else host, int.from_bytes(port, "big")


@lru_cache(4096)
def sockaddr_of(address: Address) -> bytes:
    """Write a client's address as the kernel does; nothing for one that no kernel of ours can have written.

    For those who have addresses as pairs where the relay's table has them as bytes, one datagram after another.
    """
    try:
        return serialize_sockaddr(address)
    except (OSError, OverflowError):
        return b""


@lru_cache(4096)
def address_of_sockaddr(source: bytes) -> Address:
    """Read a client's address; see `sockaddr_of`."""
    return parse_sockaddr(source)


def _zone(scope: int) -> str:
    try:
        return socket.if_indextoname(scope)
    except OSError:  # the interface has gone since
        return str(scope)
