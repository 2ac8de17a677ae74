"""What a call's datagrams travel over: a UDP socket to all of a server's addresses, or a connection to one of them.

Over TCP each datagram is a frame (RFC 4571, RFC 6544 §7.1). A wire never blocks; what the kernel does not take at once
waits here over TCP, in a queue with an end, and is an error over UDP.

A connection that has ended is opened again (RFC 6544 §11.1) by the next connectivity check that is to be sent over it.
Nothing else goes until the server has said something over the new one.
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from relay.tcp.framing import FrameReader, frame
from wire.core import Address
from wire.demux import Kind, kind_of

__all__ = ["TcpWire", "UdpWire", "Wire"]

_MAX_DATAGRAM = 2048
_READ_SIZE = 16_384
_MAX_QUEUED = 65_536
_CONNECTING = (errno.EINPROGRESS, errno.EAGAIN)


class Wire(Protocol):
    """A way to the server, without a task of its own.

    Attributes:
        events: what epoll is to tell of it.
    """

    events: int

    def fileno(self) -> int:
        """Number of its socket."""

    def receive(self) -> Sequence[tuple[bytes, Address]]:
        """Take what has come, each with its source.

        Raises:
            OSError: nothing has, or nothing will any more.
        """

    def send(self, data: bytes, destination: Address) -> None:
        """Send a datagram.

        Raises:
            OSError: it is lost.
        """

    def close(self) -> None:
        """Close the socket."""


class UdpWire:
    """A UDP socket of one family, on any port."""

    events = select.EPOLLIN

    def __init__(self, *, is_ipv6: bool) -> None:
        self._socket = socket.socket(socket.AF_INET6 if is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("::" if is_ipv6 else "0.0.0.0", 0))  # noqa: S104 - a client's socket, of which ICE finds the way

    def fileno(self) -> int:
        """See `Wire`."""
        return self._socket.fileno()

    def receive(self) -> Sequence[tuple[bytes, Address]]:
        """Take one datagram; epoll tells again when there are more."""
        data, source = self._socket.recvfrom(_MAX_DATAGRAM)
        return ((data, source[:2]),)

    def send(self, data: bytes, destination: Address) -> None:
        """See `Wire`."""
        self._socket.sendto(data, destination)

    def close(self) -> None:
        """See `Wire`."""
        self._socket.close()


class TcpWire:
    """A connection to one address of the server's, which begins at once.

    Args:
        server: where to.
        renewed: told the number of the old socket, and this wire, when another connection has been begun.
    """

    # Told once of each change: so the queue is sent when the connection is there, and one that has ended is silent.
    events = select.EPOLLIN | select.EPOLLOUT | select.EPOLLET

    def __init__(
        self, server: Address, renewed: Callable[[int, "TcpWire"], object] = lambda _number, _wire: None
    ) -> None:
        self._server = server
        self._renewed = renewed
        self._connect()

    def _connect(self) -> None:
        self._frames = FrameReader()
        self._queued = b""
        self._is_answered = False
        family = socket.AF_INET6 if ":" in self._server[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._end: OSError | None = None  # why nothing goes any more
        number = self._socket.connect_ex(self._server)
        if number and number not in _CONNECTING:
            self._end = OSError(number, os.strerror(number))

    def fileno(self) -> int:
        """See `Wire`."""
        return self._socket.fileno()

    def receive(self) -> Sequence[tuple[bytes, Address]]:
        """Take all that has come, and send what waits."""
        self._flush()
        found: list[tuple[bytes, Address]] = []
        while self._end is None:
            try:
                data = self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                break
            except OSError as error:
                self._end = error
                raise
            found += ((datagram, self._server) for datagram in self._frames.receive(data))
            self._is_answered = self._is_answered or bool(found)
            if not data or self._frames.is_broken:
                self._end = ConnectionResetError(errno.ECONNRESET, "the server has closed the TCP connection")
        return found

    def send(self, data: bytes, destination: Address) -> None:  # noqa: ARG002 - there is one
        """See `Wire`."""
        if (self._end is not None or not self._is_answered) and kind_of(data) is not Kind.STUN:
            raise self._end or OSError(errno.ENOTCONN, "the TCP connection has not been answered yet")
        if self._end is not None:
            old = self._socket.fileno()
            self._socket.close()
            self._connect()
            self._renewed(old, self)
        if len(self._queued) > _MAX_QUEUED:
            raise BlockingIOError(errno.EAGAIN, "the TCP connection takes nothing")
        self._queued += frame(data)
        self._flush()

    def close(self) -> None:
        """See `Wire`."""
        self._socket.close()

    def _flush(self) -> None:
        if self._queued and self._end is None:
            try:
                self._queued = self._queued[self._socket.send(self._queued) :]
            except BlockingIOError:
                pass
            except OSError as error:
                if error.errno != errno.ENOTCONN:  # still connecting
                    self._end = error
                    raise
