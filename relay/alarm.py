"""Wakes a task at a given time, for those that sleep hundreds of times a second.

Trio ends a sleep by cancelling it: a scope expires, an exception is thrown into the task, passes through everything and
is caught again. That is 140,000 instructions, 47 µs, of which a worker with a few dozen calls would do six hundred a
second. A timer of the kernel's (`timerfd`) becomes readable instead, as a socket does: a tenth of the cost. And it
keeps its time to some microseconds, where Trio waits in whole milliseconds, rounded up.

Where there is no such timer, and under a clock that is not the real one (in tests), Trio sleeps.

Source: timerfd_create(2).
"""

import os
import sys
import time
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias, cast

import trio

from relay.mmsg_abi import ffi

__all__ = ["Alarm"]

if TYPE_CHECKING:
    from cffi import FFI

    _CData: TypeAlias = FFI.CData
else:
    _CData = ffi.CData

_NANOSECONDS = 1_000_000_000
_NO_CHANGE = 0.01
"""Seconds by which what a real clock tells of a second may be off, between two looks at it."""


class _CLibrary(Protocol):
    """The functions that are used here, as cffi offers them: -1 is an error."""

    def timerfd_create(self, clock: int, flags: int) -> int:
        """Make a timer; return its descriptor."""

    def timerfd_settime(self, fd: int, flags: int, wanted: _CData, before: _CData) -> int:
        """Set it anew: it is not readable any more, until its time has come."""


class Alarm:
    """Wakes one task, again and again; to be made, used and closed inside of `trio.run`."""

    __slots__ = ("_fd", "_library", "_time", "_wanted")

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform != "linux" or sys.maxsize <= 1 << 32 or not _is_real(trio.lowlevel.current_clock()):
            return
        self._library = cast("_CLibrary", ffi.dlopen(None))
        self._wanted = ffi.new("struct itimerspec *")
        self._time = self._wanted[0].it_value
        self._fd = self._library.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)

    async def sleep_until(self, deadline: float) -> None:
        """Sleep until a time of Trio's clock; at least a checkpoint, and cancellation takes effect as ever."""
        if self._fd < 0:
            await trio.sleep_until(deadline)
            return
        left = int((deadline - trio.current_time()) * _NANOSECONDS)
        if left <= 0:
            await trio.lowlevel.checkpoint()
            return
        self._time.tv_sec, self._time.tv_nsec = divmod(left, _NANOSECONDS)
        self._library.timerfd_settime(self._fd, 0, self._wanted, ffi.NULL)
        await trio.lowlevel.wait_readable(self._fd)

    def close(self) -> None:
        """Free the timer; closing twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def _is_real(clock: trio.abc.Clock) -> bool:
    """Whether a second of a clock's takes a second."""
    return abs(clock.deadline_to_sleep_time(clock.current_time() + 1) - 1) < _NO_CHANGE
