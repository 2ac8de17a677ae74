"""Supported Extensions, parameter type 0x8008: the optional chunks that a sender understands.

    |          Type=0x8008          |            Length             |
    | chunk type 1  | chunk type 2  | chunk type 3  | chunk type 4 ..

Source: RFC 5061 §4.2.7; RFC 6525 §5.1.1, which asks for RE-CONFIG to be listed.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["SupportedExtensions"]


@attrs.frozen(kw_only=True)
class SupportedExtensions:
    """Which chunks beyond RFC 9260 may be sent to its sender.

    Attributes:
        chunk_types: 0 to 255 each.
    """

    TYPE: ClassVar[int] = 0x8008

    chunk_types: tuple[int, ...]

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(chunk_types=tuple(value.rest()))

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        for chunk_type in self.chunk_types:
            value.u8(chunk_type, "chunk type")
