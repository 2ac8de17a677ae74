"""COOKIE ECHO, chunk type 10: the cookie goes back to its maker.

    |    Type=10    |  Chunk flags  |            Length             |
    |                            Cookie                            ..

Source: RFC 9260 §3.3.11.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["CookieEcho"]


@attrs.frozen(kw_only=True)
class CookieEcho:
    """Proof that the sender of an INIT gets what is sent to it; the first chunk of its packet.

    Attributes:
        cookie: as it came in the State Cookie of the INIT ACK; assume that an attacker has edited it.
    """

    TYPE: ClassVar[int] = 10

    cookie: bytes

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk: any bytes."""
        return cls(cookie=value.rest())

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: the cookie does not fit.
        """
        write_chunk(writer, self.TYPE, 0, Writer().octets(self.cookie))
