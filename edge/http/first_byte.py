"""A port that two protocols share: the first byte of a connection tells whose it is.

HTTP begins with a letter and TLS with 0x16 (RFC 8446 §5.1: a handshake record), so any protocol that begins with
another byte can have the same port. The byte is looked at and not taken, so whoever gets the connection reads it from
its beginning.

A peer that says nothing is nobody's: it is closed when it would have been late with its request.
"""

import socket
from collections.abc import Callable

import attrs
import trio

__all__ = ["Neighbour", "first_byte"]


@attrs.frozen(kw_only=True)
class Neighbour:
    """Who else lives behind the port.

    Attributes:
        wants: whether a connection that begins with this byte is the neighbour's.
        take: takes over such a connection, of which nothing has been read.
    """

    wants: Callable[[int], bool]
    take: Callable[[socket.socket], None]


async def first_byte(stream: trio.SocketStream) -> int | None:
    """Wait for the first byte of a connection, and leave it there; None when the peer has ended the connection.

    Raises:
        OSError: the connection is broken.
    """
    data = await stream.socket.recv(1, socket.MSG_PEEK)
    return data[0] if data else None
