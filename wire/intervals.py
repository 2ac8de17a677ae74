"""Putting fragments together, however they arrive: in any order, repeated, overlapping, of different sizes.

Memory is bounded by the announced length, which the caller bounds. Bytes that were received stay as they were
received first: a later overlapping fragment cannot change them.
"""

from wire.errors import LocalProtocolError

__all__ = ["IntervalBuffer"]


class IntervalBuffer:
    """A message of known length that is filled from fragments.

    Args:
        length: size of the whole message in bytes; may be 0, which is complete at once.
    """

    __slots__ = ("_buffer", "_filled", "length")

    def __init__(self, length: int) -> None:
        self.length = length
        self._buffer = bytearray(length)
        self._filled: list[tuple[int, int]] = []  # disjoint, sorted, not touching

    @property
    def is_complete(self) -> bool:
        """Whether every byte has arrived."""
        return self.length == 0 or self._filled == [(0, self.length)]

    @property
    def gap_count(self) -> int:
        """How many separate pieces are filled; a bound on the cost of the next fragment."""
        return len(self._filled)

    def add(self, offset: int, fragment: bytes) -> bool:
        """Fill in a fragment.

        Returns:
            Whether it brought any byte that was missing.

        Raises:
            LocalProtocolError: the fragment reaches beyond the message; check before calling.
        """
        end = offset + len(fragment)
        if offset < 0 or end > self.length:
            raise LocalProtocolError(f"fragment {offset}..{end} is outside of a message of {self.length} bytes")
        missing = self._missing(offset, end)
        for start, stop in missing:
            self._buffer[start:stop] = fragment[start - offset : stop - offset]
        if missing:
            self._merge(offset, end)
        return bool(missing)

    def take(self) -> bytes:
        """Return the whole message.

        Raises:
            LocalProtocolError: it is not complete.
        """
        if not self.is_complete:
            raise LocalProtocolError("message is not complete")
        return bytes(self._buffer)

    def _missing(self, offset: int, end: int) -> list[tuple[int, int]]:
        missing = []
        position = offset
        for start, stop in self._filled:
            if stop <= position:
                continue
            if start >= end:
                break
            if start > position:
                missing.append((position, start))
            position = stop
        if position < end:
            missing.append((position, end))
        return missing

    def _merge(self, offset: int, end: int) -> None:
        merged = []
        for start, stop in self._filled:
            if stop < offset or start > end:
                merged.append((start, stop))
            else:
                offset, end = min(offset, start), max(end, stop)
        merged.append((offset, end))
        merged.sort()
        self._filled = merged
