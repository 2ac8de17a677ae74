"""Lines both ways over one end of a socket pair.

The parent keeps one end, the child has the other as its standard input. The kernel closes an end with its process,
however that ended: so each side learns of the other's death without asking.
"""

from collections.abc import Sequence

import trio

from edge.children.passing import HasDescriptor, PassingStream

__all__ = ["Channel", "ChannelClosed"]

_LONGEST_LINE = 8 << 20
"""More than a configuration, or the numbers of a worker with every call another owner's; what is longer is refused."""
_READ_SIZE = 65_536


class ChannelClosed(Exception):  # noqa: N818 - named for what happened
    """The other end is gone, or speaks no lines."""


class Channel:
    """One end. One task reads; any number may send.

    Args:
        stream: the socket, taken over.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._received = bytearray()
        self._sending = trio.Lock()

    async def send(self, line: bytes, sockets: Sequence[HasDescriptor] = ()) -> None:
        """Send a line, its end included; waits while the other end does not read.

        Args:
            line: what to send.
            sockets: what arrives with it, where the stream is one that passes sockets; they stay open here.

        Cancelled while it waits, it leaves half a line: only for a channel that is about to be closed.

        Raises:
            ChannelClosed: nobody will read it.
        """
        try:
            async with self._sending:
                if sockets and isinstance(self._stream, PassingStream):
                    await self._stream.send_with_sockets(line, sockets)
                else:
                    await self._stream.send_all(line)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ChannelClosed(str(error)) from error

    async def receive(self) -> bytes:
        """Wait for a line, without its end. Cancellation loses nothing.

        Raises:
            ChannelClosed: there will be none.
        """
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            if searched > _LONGEST_LINE:
                raise ChannelClosed(f"a line has more than {_LONGEST_LINE} bytes")
            try:
                data = await self._stream.receive_some(_READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ChannelClosed(str(error)) from error
            if not data:
                raise ChannelClosed("the other end is closed")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    async def aclose(self) -> None:
        """Close this end; the other notices."""
        await trio.aclose_forcefully(self._stream)
