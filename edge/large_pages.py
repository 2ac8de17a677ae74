"""Memory in large pages, where the kernel makes them on demand.

Between two packets of a quiet server the processor has forgotten where the program's memory is. A program like this one
consists of some fifty megabytes of small objects, and whoever sets up a call touches thousands of pages of 4 KiB; each
has to be looked up anew, on a virtual machine in two tables, one inside the other. In pages of 2 MiB they are a few
dozen. That takes 7 % away from the CPU of a set-up, in each of the three tiers.
"""

import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import trio

__all__ = ["settle_into_large_pages", "use_large_pages"]

_SIZE = 2 << 20  # of a large page, on x86-64, and on ARM with small ones of 4 KiB
_MADV_COLLAPSE = 25  # madvise(2), since Linux 6.1
_MAPS = Path("/proc/self/maps")
_SETTLING_SECONDS = 2.0

Collapse = Callable[[int, int], bool]
"""Makes one large page of the memory at an address, as long as that; tells whether it is one now."""


async def settle_into_large_pages() -> None:
    """Use large pages when the start is over: calls may wait for it, and moving memory would hold them up."""
    await trio.sleep(_SETTLING_SECONDS)
    await trio.to_thread.run_sync(use_large_pages)


def use_large_pages() -> int:
    """Have the kernel move what the program consists of into large pages; to be called once it is loaded.

    Takes some milliseconds for each, so best in a thread. The process grows by the holes in what is moved, which are
    few; what comes later is left as it is, since it may be given back soon. Where the kernel is too old, forbids it or
    has no such pages left, nothing happens.

    Returns:
        How many large pages there are now.
    """
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    try:
        maps = _MAPS.read_text().splitlines()
    except OSError:
        return 0
    return collapse_all(maps, lambda start, size: libc.madvise(start, size, _MADV_COLLAPSE) == 0)


def collapse_all(maps: Iterable[str], collapse: Collapse) -> int:
    """Make large pages of all that can be one.

    Args:
        maps: the lines of proc_pid_maps(5).
        collapse: makes one.

    Returns:
        How many were made.
    """
    return sum(collapse(start, _SIZE) for start in _large_pages(maps))


def _large_pages(maps: Iterable[str]) -> Iterator[int]:
    """Find where large pages can be: in private memory that is no file's and no stack, at multiples of their size."""
    for line in maps:
        addresses, permissions, _, _, inode, *name = line.split(maxsplit=5)
        if permissions != "rw-p" or inode != "0" or name not in ([], ["[heap]"]):
            continue
        begin, end = (int(address, 16) for address in addresses.split("-"))
        yield from range(-(-begin // _SIZE) * _SIZE, end - _SIZE + 1, _SIZE)
