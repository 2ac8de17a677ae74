"""Unrecognized Chunk Type, cause 6: a chunk wants to be reported and is not known.

    |          Cause code=6         |          Cause length         |
    |          A chunk: type, flags, length, and its value          ..

Source: RFC 9260 §3.3.10.6 and §3.2.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["UnrecognizedChunkType"]


@attrs.frozen(kw_only=True)
class UnrecognizedChunkType:
    """The answer to a chunk type whose second bit is set.

    Attributes:
        chunk: all of it (`sctp.chunks.chunk.serialize_chunk`).
    """

    CODE: ClassVar[int] = 6

    chunk: bytes = b""

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(chunk=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.chunk)
