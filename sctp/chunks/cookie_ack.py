"""COOKIE ACK, chunk type 11: the cookie was genuine, the association is established.

    |    Type=11    |  Chunk flags  |           Length=4            |

Source: RFC 9260 §3.3.12.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["CookieAck"]


@attrs.frozen(kw_only=True)
class CookieAck:
    """The last step of the beginning."""

    TYPE: ClassVar[int] = 11

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("COOKIE ACK")
        return cls()

    def serialize(self, writer: Writer) -> None:
        """Write the chunk."""
        write_chunk(writer, self.TYPE, 0, Writer())
