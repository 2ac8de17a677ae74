"""On a socket that is bound to a wildcard: to which of our addresses a datagram came, and from which an answer leaves.

A client takes an answer only from the address that it asked. A socket bound to one address has no choice; from one that
is bound to `0.0.0.0` or `::` the kernel sends from whatever address its routes prefer, unless it is told. So there, and
only there, the kernel is asked to tell the destination of each datagram, and is told the source of each answer.

Local addresses have numbers, given as they are first seen; 0 means that the kernel may choose. A flow's number stands
in its claims, beside that of the ingress: together they are the *egress* of what goes to the client.

* A claim takes the number from the request that makes it. While it is unproven it follows its verified requests; when
  it is proven it stays, so nobody who repeats a client's requests to another address of ours can turn its answers.
* A flow that is relearned from its transceiver has number 0 until a verified request comes (Chrome's every 2.5 s). For
  the number means nothing to another relay, or to this one after a restart, so the hop header does not carry it. What
  it does carry is the number of the ingress: an address that must be right at once gets an ingress of its own.
* One flow has one local address. A client that uses two of them from the same port needs an ingress for each, too.

Bound: `MAX_LOCAL_ADDRESSES`, since anybody can send to any address that is routed here; others are left to the kernel.

Source: ip(7), IP_PKTINFO; RFC 3542 §6.1 and §6.2, IPV6_PKTINFO.
"""

import socket
import struct

__all__ = [
    "MAX_LOCAL_ADDRESSES",
    "LocalAddresses",
    "PacketInfo",
    "egress_of",
    "ingress_of",
    "is_wildcard",
]

MAX_LOCAL_ADDRESSES = 64

_NUMBER_SHIFT = 16
_INGRESS_MASK = (1 << _NUMBER_SHIFT) - 1

# Linux: linux/in.h and linux/in6.h; Python 3.11 does not name the first.
_IP_PKTINFO = 8
_IPV6_RECVPKTINFO, _IPV6_PKTINFO = 49, 50
_CMSG_HEADER = struct.Struct("=Qii")
_CMSG_ALIGNMENT = 8


def egress_of(ingress: int, local: int) -> int:
    """Put the number of an ingress and that of a local address together."""
    return ingress | local << _NUMBER_SHIFT


def ingress_of(egress: int) -> int:
    """The number of the ingress that something leaves by."""
    return egress & _INGRESS_MASK


def is_wildcard(sock: socket.socket) -> bool:
    """Whether a socket takes what comes to any address of this machine."""
    return str(sock.getsockname()[0]) in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class LocalAddresses:
    """Numbers of our own addresses."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}

    def number_of(self, address: bytes) -> int:
        """The number of a local address of 4 or 16 bytes; 0 for one too many, and for none."""
        number = self._numbers.get(address)
        if number is None:
            if not address or len(self._numbers) >= MAX_LOCAL_ADDRESSES:
                return 0
            number = self._numbers[address] = len(self._numbers) + 1
        return number


class PacketInfo:
    """What stands in the control messages of a socket's datagrams.

        IPv4   | interface, 4 | source to send from, 4 | destination that it came to, 4 |
        IPv6   | address, 16                                           | interface, 4   |

    Args:
        sock: bound to a wildcard; from now on the kernel tells what its datagrams came to.

    Attributes:
        size: of a whole control message, in bytes.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._is_ipv6 = sock.family == socket.AF_INET6
        if self._is_ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
            self._level, self._type, length = socket.IPPROTO_IPV6, _IPV6_PKTINFO, 20
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
            self._level, self._type, length = socket.IPPROTO_IP, _IP_PKTINFO, 12
        self._length = _CMSG_HEADER.size + length
        self.size = -(-self._length // _CMSG_ALIGNMENT) * _CMSG_ALIGNMENT

    def _address_in(self, data: bytes) -> bytes:
        """Our address in what the kernel tells of a datagram; the interface is left to its routes."""
        return data[:16] if self._is_ipv6 else data[8:12]

    def to_send_from(self, address: bytes) -> tuple[int, int, bytes]:
        """What tells the kernel to send from an address of ours, as `socket.sendmsg` takes it."""
        data = address + bytes(4) if self._is_ipv6 else bytes(4) + address + bytes(4)
        return self._level, self._type, data

    def address_of_ancillary(self, ancillary: list[tuple[int, int, bytes]]) -> bytes:
        """Our address in what `socket.recvmsg` told; nothing if it told none."""
        for level, kind, data in ancillary:
            if (level, kind) == (self._level, self._type):
                return self._address_in(data)
        return b""

    def serialize(self, address: bytes) -> bytes:
        """Write the control message that tells the kernel to send from an address of ours."""
        level, kind, data = self.to_send_from(address)
        return (_CMSG_HEADER.pack(self._length, level, kind) + data).ljust(self.size, b"\0")

    def parse(self, control: bytes) -> bytes:
        """Read our address from the control message of a datagram; nothing if there is another."""
        length, level, kind = _CMSG_HEADER.unpack_from(control)
        if (length, level, kind) != (self._length, self._level, self._type):
            return b""
        return self._address_in(control[_CMSG_HEADER.size :])
