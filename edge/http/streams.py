"""A TCP connection with as few turns of Trio's loop and as few system calls as a request needs.

`trio.SocketStream` tries to read before it waits, which fails for a peer that has yet to think, and lets other tasks
run after each write. Between two calls of a server the machine has gone cold, and each such turn then costs as much as
parsing a request. Here, reading always waits first, which is the turn that others get, and writing waits only when the
kernel's buffer is full.
"""

import socket

import trio

__all__ = ["DirectStream", "open_stream"]

_READ_SIZE = 65_536


class DirectStream(trio.abc.HalfCloseableStream):
    """Bytes over a connected TCP socket; one task at a time reads, and one writes.

    Args:
        stream: the connection, as Trio accepts and opens it; is taken over.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        # Trio has set TCP_NODELAY already: what is written leaves in one piece, at once.
        self._socket = socket.socket(fileno=stream.socket.detach())
        self._socket.setblocking(False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; none when the peer has ended its side."""
        while True:
            self._check_open()
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(max_bytes or _READ_SIZE)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(f"reading: {error}") from error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write all of it. No other task runs, and no cancellation is noticed, unless the kernel's buffer is full."""
        self._check_open()
        with memoryview(data) as left:
            sent = 0
            while sent < len(left):
                try:
                    sent += self._socket.send(left[sent:])
                except BlockingIOError:
                    await self.wait_send_all_might_not_block()
                except OSError as error:
                    raise trio.BrokenResourceError(f"writing: {error}") from error

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the kernel takes bytes."""
        self._check_open()
        await trio.lowlevel.wait_writable(self._socket)

    async def send_eof(self) -> None:
        """End our side; the peer can go on."""
        self._check_open()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise trio.BrokenResourceError(f"ending: {error}") from error

    async def aclose(self) -> None:
        """Close at once; tasks that wait for it are told."""
        if self._socket.fileno() >= 0:
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _check_open(self) -> None:
        if self._socket.fileno() < 0:
            raise trio.ClosedResourceError("the connection is closed")


async def open_stream(host: str, port: int) -> DirectStream:
    """Connect to whichever of a host's addresses answers first.

    Raises:
        OSError: none does.
    """
    return DirectStream(await trio.open_tcp_stream(host, port))
