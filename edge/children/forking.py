"""Children that are copies of this program, made before it runs anything.

A fresh Python spends most of its start on imports. A copy has them already, and shares their memory; so a parent that
is waited for, with its children, makes its first ones in this way. Those that come later are started afresh
(`edge.children.launch`): by then there are an event loop, threads and other children's sockets, which nobody wants a
copy of.

A copy inherits no descriptor but standard output and error: not its siblings' channels, whose ends would else not be
noticed, nor anything else that its parent was given. It must be made before keys are read.
"""

import gc
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio

from edge.children.channel import Channel
from edge.children.launch import ChildProcess, Launch, see_off
from edge.children.passing import PassingStream

__all__ = ["ForkedChild", "can_fork", "first_of", "fork_children"]


@attrs.define(eq=False)
class ForkedChild:
    """A copy of this process; a `ChildProcess`.

    Attributes:
        pid: its number.
        channel: our end of its channel.
        returncode: how it ended; None while it has not.
    """

    pid: int
    channel: socket.socket
    returncode: int | None = None

    async def wait(self) -> int:
        """Wait for its end; see `ChildProcess`."""
        if self.returncode is None:
            watched = os.pidfd_open(self.pid)
            try:
                await trio.lowlevel.wait_readable(watched)
            finally:
                os.close(watched)
        return self._reap()

    def kill(self) -> None:
        """End it at once."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def _reap(self) -> int:
        if self.returncode is None:  # else another task has waited too, and was first
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def can_fork() -> bool:
    """Whether copies can be made now: nothing else runs in this process, and the system tells of their end."""
    if threading.active_count() > 1 or not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False  # Linux before 5.3
    return True


def fork_children(count: int, main: Callable[[], int]) -> list[ForkedChild]:
    """Make copies of this process, each with a channel as its standard input.

    Args:
        count: how many.
        main: what a copy does; returns its exit code.

    Raises:
        OSError: the system does not allow it; those that were made already end by themselves.
    """
    gc.freeze()  # the collector would write to every object, and so to memory that is shared
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # or each copy would write it once more
    children: list[ForkedChild] = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        with theirs:
            if not (pid := os.fork()):
                _live(theirs, main)
        children.append(ForkedChild(pid, ours))
    return children


def _live(channel: socket.socket, main: Callable[[], int]) -> None:
    """Be a copy; does not return."""
    code = 1
    try:
        os.setsid()  # see `launch_child`
        os.dup2(channel.fileno(), 0)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        code = main()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:  # noqa: BLE001 - nothing above us is ours
        traceback.print_exc()
    finally:
        os._exit(code)


def first_of(children: Sequence[ForkedChild], then: Launch) -> Launch:
    """Hand out children that are there already, and then launch others.

    Args:
        children: to be handed out.
        then: launches those that come later.
    """
    waiting = list(reversed(children))

    def launch() -> AbstractAsyncContextManager[tuple[ChildProcess, Channel]]:
        return _take(waiting.pop()) if waiting else then()

    return launch


@asynccontextmanager
async def _take(child: ForkedChild) -> AsyncIterator[tuple[ChildProcess, Channel]]:
    """Talk to a copy for the length of a block; see `launch_child`."""
    child.channel.setblocking(False)
    channel = Channel(PassingStream(child.channel))
    try:
        yield child, channel
    finally:
        await see_off(child, channel)
