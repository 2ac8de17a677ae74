"""Starting a child, and never leaving one behind."""

import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

import edge
from edge.children.channel import Channel
from edge.children.passing import PassingStream

__all__ = ["ChildProcess", "Launch", "launch_child", "python_command", "see_off"]

_PATIENCE = 1.0
"""How long a process whose channel is closed may take to say goodbye and exit, in seconds."""


class ChildProcess(Protocol):
    """A process, as far as its parent looks at it."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """How it ended: the exit code, or the negative number of a signal; None while it has not."""

    async def wait(self) -> int:
        """Wait for its end, and return the same."""

    def kill(self) -> None:
        """End it at once."""


Launch = Callable[[], AbstractAsyncContextManager[tuple[ChildProcess, Channel]]]
"""Runs a child for the length of a block, and gives the parent's end of its channel; raises OSError."""


def python_command(module: str, *arguments: str) -> list[str]:
    """Tell how a module of this program is started. There is nothing secret in it."""
    # Without -P, a folder "edge" or "relay" where the operator happens to stand would be taken for ours; with it, ours
    # would not be found if that is where it is. A link that leads here is another place: it may lead elsewhere by now.
    is_here = Path(edge.__file__).parents[1] == Path.cwd()
    return [sys.executable, *([] if is_here else ["-P"]), "-m", module, *arguments]


@asynccontextmanager
async def launch_child(command: list[str]) -> AsyncIterator[tuple[ChildProcess, Channel]]:
    """Run a child for the length of a block, and talk to it by its standard input.

    Its output goes where ours goes. At the end of the block, also if that is cancelled, the channel is closed, and who
    has not exited soon after is killed: when this returns there is no process.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            # In a session of its own: a Ctrl-C of the terminal is the parent's, which then says goodbye in order.
            process = await trio.lowlevel.open_process(command, stdin=theirs, start_new_session=True)
        except BaseException:
            ours.close()
            raise
    channel = Channel(PassingStream(ours))
    try:
        yield process, channel
    finally:
        await see_off(process, channel)


async def see_off(process: ChildProcess, channel: Channel) -> None:
    """Close a child's channel, and kill it if it has not exited soon after; there is no process when this returns."""
    with trio.CancelScope(shield=True):
        await channel.aclose()
        with trio.move_on_after(_PATIENCE):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
