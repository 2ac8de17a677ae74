"""What the kernel and the senders have written into the slots of a batch, as columns.

Python is fast at whole lists and slow at one datagram after another: all sources of a batch are looked up by one call
of `map`, and whether one is different is one comparison. To unpack a batch at once takes a third of the time that its
slots take one by one.
"""

from collections.abc import Sequence
from typing import Any

from relay.datagrams import RELAY_BATCH
from relay.mmsg import ReceiveSlots, slot_layout

__all__ = ["Columns"]


class Columns:
    """Reads the source of each datagram, and some fields at its beginning.

    Args:
        slots: where datagrams arrive.
        fields: each in the notation of `struct`, one value.
    """

    def __init__(self, slots: ReceiveSlots, *fields: str) -> None:
        self._view = slots.view
        self._width = 1 + len(fields)
        # One for each power of two: what is unpacked beyond a batch is left over from an earlier one.
        self._layouts = [
            slot_layout(slots.source_size, "".join(fields), 1 << power) for power in range(RELAY_BATCH.bit_length())
        ]

    def read(self, count: int) -> Sequence[list[Any]]:
        """Read a column for the sources and one for each field.

        Args:
            count: of how many slots, at least 1. What is in a slot behind the end of its datagram is old.
        """
        fields = self._layouts[(count - 1).bit_length()].unpack_from(self._view)
        width, end = self._width, self._width * count
        return [list(fields[number:end:width]) for number in range(width)]
