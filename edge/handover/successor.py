"""The new program, as the old one sees it."""

import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import attrs
import trio

from edge.children.channel import Channel, ChannelClosed
from edge.children.ending import describe_ending
from edge.children.launch import python_command
from edge.children.lines import BadLine
from edge.children.passing import HasDescriptor, PassingStream
from edge.handover.messages import NEWS, ORDERS, Given, Go, News, Prepared, Serving
from relay.sockets import PAGES, RelaySockets

__all__ = ["OPTION", "Lender", "NotReplaced", "Successor", "own_arguments"]

OPTION = "--successor-of"
_PREPARING = 30.0
"""Seconds that a new program may take until it could forward; the old one forwards meanwhile."""
_SERVING = 3.0
"""Seconds that it may take after that; nobody forwards meanwhile."""

_LAST_MOMENTS = 3.0


class NotReplaced(Exception):  # noqa: N818 - named for what happened
    """The new program did not come; the old one goes on. The text says why."""


class Lender(Protocol):
    """What hands its sockets over: a relay, of one process or of several."""

    @property
    def sockets(self) -> Sequence[RelaySockets]:
        """Those of each worker."""

    @property
    def pages_socket(self) -> HasDescriptor | None:
        """By which its pages are served; None when there are none."""

    async def pause(self) -> None:
        """Read nothing more; the sockets stay open, and the pages are served."""

    async def resume(self) -> None:
        """Go on after all."""


def own_arguments() -> list[str]:
    """Tell what this program was started with, but for what was said by its own predecessor."""
    arguments = sys.argv[1:]
    if OPTION in arguments:
        at = arguments.index(OPTION)
        del arguments[at : at + 2]
    return arguments


@attrs.define(eq=False)
class Successor:
    """A new program, started once.

    Attributes:
        command: what starts it.
    """

    command: list[str] = attrs.field(factory=lambda: python_command("edge", *own_arguments()))

    async def replace(self, lender: Lender) -> int:
        """Start it, and hand it everything. When this returns, it serves; when it raises, the lender does.

        Returns:
            Its process's number.

        Raises:
            NotReplaced: it did not come.
        """
        ours, theirs = socket.socketpair()
        async with AsyncExitStack() as stack:
            stream = PassingStream(ours)
            stack.push_async_callback(stream.aclose)
            with theirs:
                try:
                    process = await trio.lowlevel.open_process(
                        [*self.command, OPTION, str(theirs.fileno())], pass_fds=[theirs.fileno()]
                    )
                except OSError as error:
                    raise NotReplaced(f"it could not be started: {error}") from None
            channel = Channel(stream)
            try:
                await self._hand_over(channel, lender)
            except BaseException as error:
                with trio.CancelScope(shield=True):
                    if isinstance(error, ChannelClosed):
                        with trio.move_on_after(_LAST_MOMENTS):  # how it ends may tell something
                            await process.wait()
                    process.kill()
                    code = await process.wait()
                if isinstance(error, ChannelClosed | BadLine):
                    raise NotReplaced(f"{describe_ending(code)}; see its log") from None
                raise
            return process.pid

    async def _hand_over(self, channel: Channel, lender: Lender) -> None:
        await _within(_PREPARING, lambda: _prepare(channel, lender))
        try:
            await lender.pause()
            await channel.send(ORDERS.write(Go()))
            await _within(_SERVING, lambda: _wait_for(channel, Serving))
        except BaseException:
            with trio.CancelScope(shield=True):
                await lender.resume()
            raise


async def _prepare(channel: Channel, lender: Lender) -> None:
    for number, sockets in enumerate(lender.sockets):
        given = Given(worker=number, purposes=sockets.purposes, is_last=False)
        await channel.send(ORDERS.write(given), tuple(sockets))
    pages = () if lender.pages_socket is None else (lender.pages_socket,)
    await channel.send(ORDERS.write(Given(worker=0, purposes=(PAGES,) * len(pages), is_last=True)), pages)
    await _wait_for(channel, Prepared)


async def _wait_for(channel: Channel, kind: type[News]) -> None:
    while not isinstance(NEWS.read(await channel.receive()), kind):
        pass


async def _within(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    with trio.move_on_after(seconds) as patience:
        await act()
    if patience.cancelled_caught:
        raise NotReplaced(f"it was not there within {seconds:g} seconds")
