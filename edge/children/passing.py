"""A stream over a Unix socket that passes sockets along with bytes (SCM_RIGHTS, unix(7)).

What is passed is the socket itself and not a copy of what is in it: as long as one process holds it, it stays bound,
and datagrams that nobody has read wait in it.
"""

import array
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import trio

__all__ = ["MOST_SOCKETS", "HasDescriptor", "PassingStream"]

MOST_SOCKETS = 250
"""How many sockets can go along with one piece of data; the kernel takes 253."""

_ANCILLARY_SIZE = socket.CMSG_SPACE(MOST_SOCKETS * array.array("i").itemsize)


class HasDescriptor(Protocol):
    """What can be passed: a socket, of whatever library."""

    def fileno(self) -> int:
        """The number of its descriptor."""


class PassingStream(trio.abc.Stream):
    """One end.

    Args:
        sock: a connected Unix stream socket, taken over.

    Attributes:
        arrived: descriptors that came, in the order in which they were sent, and that nobody has taken yet.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = trio.socket.from_stdlib_socket(sock)
        self._stream = trio.SocketStream(self._socket)
        self.arrived: deque[int] = deque()

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; see `trio.abc.SendStream`."""
        await self._stream.send_all(data)

    async def send_with_sockets(self, data: bytes, sockets: Sequence[HasDescriptor]) -> None:
        """Send bytes, at least one, with the first of which sockets arrive. They stay open here.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: nobody will read it.
        """
        numbers = array.array("i", [sock.fileno() for sock in sockets])
        try:
            sent = await self._socket.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
        except OSError as error:
            raise trio.BrokenResourceError from error
        await self._stream.send_all(data[sent:])

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until more can be sent; see `trio.abc.SendStream`."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Take bytes, and keep the sockets that came with them; see `trio.abc.ReceiveStream`."""
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        try:
            data, messages, _, _ = await self._socket.recvmsg(max_bytes or 65_536, _ANCILLARY_SIZE, flags)
        except OSError as error:
            if self._socket.fileno() < 0:
                raise trio.ClosedResourceError from None
            raise trio.BrokenResourceError from error
        for level, kind, content in messages:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                self.arrived.extend(numbers)
        return data

    async def aclose(self) -> None:
        """Close this end, and what arrived and was not taken."""
        while self.arrived:
            os.close(self.arrived.popleft())
        await self._stream.aclose()
