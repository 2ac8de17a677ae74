"""The old program, as its successor sees it."""

import socket
from contextlib import suppress

import trio

from edge.children.channel import Channel, ChannelClosed
from edge.children.lines import BadLine
from edge.children.passing import PassingStream
from edge.handover.messages import NEWS, ORDERS, Given, Go, Prepared, Serving
from edge.start import StartError
from relay.sockets import GivenSockets

__all__ = ["Predecessor"]


class Predecessor:
    """Who has started us, and gives us its sockets.

    Args:
        sock: our end of the channel, taken over.

    Attributes:
        sockets: what it has given.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._stream = PassingStream(sock)
        self._channel = Channel(self._stream)
        self.sockets = GivenSockets()

    async def receive_sockets(self) -> None:
        """Take what it gives.

        Raises:
            StartError: it is gone, or is no predecessor.
        """
        try:
            is_last = False
            while not is_last:
                order = ORDERS.read(await self._channel.receive())
                if not isinstance(order, Given) or len(self._stream.arrived) < len(order.purposes):
                    raise _not_ours()
                for purpose in order.purposes:
                    number = self._stream.arrived.popleft()
                    self.sockets.add(order.worker, purpose, socket.socket(fileno=number))
                is_last = order.is_last
        except (ChannelClosed, BadLine):
            raise _not_ours() from None

    async def take_over(self) -> None:
        """Say that all is prepared, and wait until it does not read the sockets any more.

        Raises:
            StartError: it is gone; whoever started it will start another.
        """
        try:
            await self._channel.send(NEWS.write(Prepared()))
            while not isinstance(ORDERS.read(await self._channel.receive()), Go):
                pass
        except (ChannelClosed, BadLine):
            raise _not_ours() from None

    async def dismiss(self) -> None:
        """Say that we serve; it exits."""
        with suppress(ChannelClosed):  # it has not waited for it
            await self._channel.send(NEWS.write(Serving()))
        with trio.CancelScope(shield=True):
            await self._channel.aclose()
        self.sockets.close()


def _not_ours() -> StartError:
    from edge.config.problems import Problem

    return StartError([Problem("--successor-of", "there is no program to succeed", "`trio-voice reload` gives it.")])
