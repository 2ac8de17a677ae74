"""What becomes of a chunk or parameter whose type nobody here knows.

The two highest bits of the type say it, so that an extension can decide how an old implementation treats it:

    00   stop: what follows is not looked at either
    01   stop, and report it
    10   skip it
    11   skip it, and report it

Source: RFC 9260 §3.2 (chunks, table 2) and §3.2.1 (parameters).
"""

import enum
from collections.abc import Iterable
from typing import Protocol, TypeVar

__all__ = ["UnrecognizedAction", "sift"]


class UnrecognizedAction(enum.IntEnum):
    """What a type demands of those who do not know it; the values are its two highest bits."""

    STOP = 0b00
    STOP_AND_REPORT = 0b01
    SKIP = 0b10
    SKIP_AND_REPORT = 0b11

    @property
    def is_stop(self) -> bool:
        """Whether what follows in the same packet (or, for a parameter, in the same chunk) is discarded, too."""
        return not self & 0b10

    @property
    def is_reported(self) -> bool:
        """Whether the sender wants to be told."""
        return bool(self & 0b01)


class _Unknown(Protocol):
    @property
    def action(self) -> UnrecognizedAction: ...


_Item = TypeVar("_Item")
_UnknownItem = TypeVar("_UnknownItem", bound=_Unknown)


def sift(items: Iterable[_Item], unknown: type[_UnknownItem]) -> tuple[tuple[_Item, ...], tuple[_UnknownItem, ...]]:
    """Separate what may be acted on from what is unknown.

    Args:
        items: the chunks of a packet, or the parameters of a chunk, in order.
        unknown: `UnknownChunk` or `UnknownParameter`.

    Returns:
        Those that are known, up to an unknown one that demands to stop; and those unknown ones that want to be
        reported to their sender.
    """
    known: list[_Item] = []
    reported: list[_UnknownItem] = []
    for item in items:
        if not isinstance(item, unknown):
            known.append(item)
            continue
        if item.action.is_reported:
            reported.append(item)
        if item.action.is_stop:
            break
    return tuple(known), tuple(reported)
