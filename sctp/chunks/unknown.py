"""Any chunk that has no record here.

    |A|R|   Type    |  Chunk flags  |            Length             |
    |                             Value                            ..

A and R say what is done with it: skip, and report.

Source: RFC 9260 §3.2.
"""

import attrs

from sctp.chunks.header import write_chunk
from sctp.unrecognized import UnrecognizedAction
from wire.buffer import Writer

__all__ = ["UnknownChunk"]


@attrs.frozen(kw_only=True)
class UnknownChunk:
    """A chunk whose bytes are kept, to be reported or skipped.

    Attributes:
        type: 0 to 255, none of those that have a record of their own.
        flags: 8 bits.
        value: any bytes.
    """

    type: int
    flags: int = 0
    value: bytes = b""

    @property
    def action(self) -> UnrecognizedAction:
        """What the type demands of us."""
        # RFC 9260 §3.2: the highest-order 2 bits say what is done with an unrecognized type.
        return UnrecognizedAction(self.type >> 6)

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        write_chunk(writer, self.type, self.flags, Writer().octets(self.value))
