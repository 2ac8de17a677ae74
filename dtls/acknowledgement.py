"""ACK records of DTLS 1.3: the codec, and the list of what we received.

Source: RFC 9147 §7.
"""

from typing import Self

import attrs

from dtls.records import RecordNumber
from wire.buffer import Reader, Writer

__all__ = ["MAX_ACKNOWLEDGED", "Ack", "ReceivedRecords"]

MAX_ACKNOWLEDGED = 32
"""How many records an ACK of ours covers at most."""


@attrs.frozen(kw_only=True)
class Ack:
    """The content of an ACK record.

    Attributes:
        record_numbers: what the sender has received and kept; ours are sorted.
    """

    record_numbers: tuple[RecordNumber, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the list."""
        inner = reader.vector(2, "record_numbers")
        numbers = []
        while len(inner):
            numbers.append(RecordNumber(inner.u64("epoch"), inner.u64("sequence_number")))
        return cls(record_numbers=tuple(numbers))

    def serialize(self, writer: Writer) -> None:
        """Write the list."""
        inner = Writer()
        for epoch, sequence in self.record_numbers:
            inner.u64(epoch, "epoch").u64(sequence, "sequence_number")
        writer.vector(2, inner.finish(), "record_numbers")


class ReceivedRecords:
    """Records of the peer's present flight that we have kept or handled; 1.2 keeps the list and never sends it."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: list[RecordNumber] = []

    def __bool__(self) -> bool:
        return bool(self._numbers)

    def add(self, number: RecordNumber) -> None:
        """Remember a record; the latest ones, when there are too many."""
        if number not in self._numbers:
            self._numbers = [*self._numbers[1 - MAX_ACKNOWLEDGED :], number]

    def clear(self) -> None:
        """The peer's next flight begins (RFC 9147 §7: an ACK only covers the current one)."""
        self._numbers = []

    def ack(self, sending_epoch: int) -> Ack:
        """Return what to acknowledge in a record of `sending_epoch`."""
        # RFC 9147 §7: an ACK MUST have an epoch equal to or higher than the records it covers (and erratum 8108);
        # the numbers are in increasing order.
        return Ack(record_numbers=tuple(sorted(number for number in self._numbers if number.epoch <= sending_epoch)))
