"""What PING, PONG and ANNOUNCED have in common: a number, and nothing else."""

from typing import Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["Numbered"]


@attrs.frozen(kw_only=True)
class Numbered:
    """A message whose body is a number.

    Attributes:
        number: 32 bits; what it counts is the message's to say.
    """

    number: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(number=reader.u32("number"))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u32(self.number, "number")
