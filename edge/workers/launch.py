"""Starting a worker's process, and never leaving one behind."""

import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import trio

import edge
from edge.workers.channel import Channel

__all__ = ["Launch", "WorkerProcess", "launch_worker", "worker_command"]

_PATIENCE = 1.0
"""How long a process whose channel is closed may take to say goodbye and exit, in seconds."""


class WorkerProcess(Protocol):
    """A process, as far as the front looks at it."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def returncode(self) -> int | None:
        """How it ended: the exit code, or the negative number of a signal; None while it has not."""

    async def wait(self) -> int:
        """Wait for its end, and return the same."""


Launch = Callable[[], AbstractAsyncContextManager[tuple[WorkerProcess, Channel]]]
"""Runs a worker's process for the length of a block, and gives the front's end of its channel; raises OSError."""


def worker_command() -> list[str]:
    """Tell how this program is started as a worker. There is nothing secret in it."""
    # Without -P, a folder "edge" or "relay" where the operator happens to stand would be taken for ours; with it, ours
    # would not be found if that is where it is.
    is_here = Path(edge.__file__).resolve().parents[1] == Path.cwd()
    return [sys.executable, *([] if is_here else ["-P"]), "-m", "edge", "worker"]


@asynccontextmanager
async def launch_worker() -> AsyncIterator[tuple[WorkerProcess, Channel]]:
    """Run a worker's process for the length of a block, and talk to it by its standard input.

    Its output goes where ours goes. At the end of the block, also if that is cancelled, the channel is closed, and who
    has not exited soon after is killed: when this returns there is no process.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            # In a session of its own: a Ctrl-C of the terminal is the front's, which then says goodbye in order.
            process = await trio.lowlevel.open_process(worker_command(), stdin=theirs, start_new_session=True)
        except BaseException:
            ours.close()
            raise
    channel = Channel(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
    try:
        yield process, channel
    finally:
        with trio.CancelScope(shield=True):
            await channel.aclose()
            with trio.move_on_after(_PATIENCE):
                await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
