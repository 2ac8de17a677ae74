"""Invalid Stream Identifier, cause 1: DATA came on a stream that does not exist.

    |          Cause code=1         |         Cause length=8        |
    |       Stream identifier       |           reserved            |

Source: RFC 9260 §3.3.10.1.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["InvalidStreamIdentifier"]


@attrs.frozen(kw_only=True)
class InvalidStreamIdentifier:
    """The peer sends on more streams than it may.

    Attributes:
        stream_id: of the DATA chunk.
    """

    CODE: ClassVar[int] = 1

    stream_id: int

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        stream_id = value.u16("stream identifier")
        # RFC 9260 §3.3.10.1: the reserved field is ignored on receipt.
        value.skip(2, "reserved")
        value.finish("Invalid Stream Identifier")
        return cls(stream_id=stream_id)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u16(self.stream_id, "stream_id").u16(0)
