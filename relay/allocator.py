"""The C library's allocator, told that what a relay's table leaves behind when it grows is to be given back.

A dict that is full is copied to one of twice its size. Blocks so large are mapped, and unmapped when they are free;
but with each that is freed, the allocator raises the size from which it maps. So the next ones come from the heap, and
the holes that they leave stay: a relay of 50,000 flows kept a megabyte of them. Once the size is set, it stays.

Source: mallopt(3), M_MMAP_THRESHOLD.
"""

from typing import Protocol, cast

from relay.mmsg_abi import ffi

__all__ = ["keep_no_holes"]

_M_MMAP_THRESHOLD = -3
_LARGE = 128 << 10
"""Bytes from which a block is mapped: what glibc begins with."""


class _CLibrary(Protocol):
    def mallopt(self, parameter: int, value: int) -> int:
        """Set a parameter of the allocator; return 1, or 0 for an error."""


def keep_no_holes() -> None:
    """Have blocks of 128 KB and more go back to the system when they are freed, for the life of this process.

    Does nothing where the C library has no such parameter.
    """
    library = ffi.dlopen(None)
    if hasattr(library, "mallopt"):
        cast("_CLibrary", library).mallopt(_M_MMAP_THRESHOLD, _LARGE)
