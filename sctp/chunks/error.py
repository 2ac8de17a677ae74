"""ERROR, chunk type 9: something was wrong, and we go on.

    |     Type=9    |  Chunk flags  |            Length             |
    |                          Error causes                         ..

Source: RFC 9260 §3.3.10.
"""

from typing import ClassVar, Self

import attrs

from sctp.causes.cause import Cause, parse_causes, write_causes
from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["Error"]


@attrs.frozen(kw_only=True)
class Error:
    """A complaint that does not end anything.

    Attributes:
        causes: what was wrong; at least one.
    """

    TYPE: ClassVar[int] = 9

    causes: tuple[Cause, ...] = ()

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: a cause is malformed.
        """
        return cls(causes=parse_causes(value))

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        value = Writer()
        write_causes(value, self.causes)
        write_chunk(writer, self.TYPE, 0, value)
