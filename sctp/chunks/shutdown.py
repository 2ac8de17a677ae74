"""SHUTDOWN, chunk type 7: nothing is left to send here.

    |    Type=7     |  Chunk flags  |           Length=8            |
    |                      Cumulative TSN Ack                       |

Source: RFC 9260 §3.3.8.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["Shutdown"]


@attrs.frozen(kw_only=True)
class Shutdown:
    """The first step of the end.

    Attributes:
        cumulative_tsn_ack: wrapped, 32 bits; it and all before it have arrived.
    """

    TYPE: ClassVar[int] = 7

    cumulative_tsn_ack: int

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        cumulative_tsn_ack = value.u32("Cumulative TSN Ack")
        value.finish("SHUTDOWN")
        return cls(cumulative_tsn_ack=cumulative_tsn_ack)

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        write_chunk(writer, self.TYPE, 0, Writer().u32(self.cumulative_tsn_ack, "cumulative_tsn_ack"))
