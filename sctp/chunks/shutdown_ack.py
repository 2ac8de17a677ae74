"""SHUTDOWN ACK, chunk type 8: nothing is left to send here, either.

    |     Type=8    |  Chunk flags  |           Length=4            |

Source: RFC 9260 §3.3.9.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["ShutdownAck"]


@attrs.frozen(kw_only=True)
class ShutdownAck:
    """The second step of the end."""

    TYPE: ClassVar[int] = 8

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("SHUTDOWN ACK")
        return cls()

    def serialize(self, writer: Writer) -> None:
        """Write the chunk."""
        write_chunk(writer, self.TYPE, 0, Writer())
