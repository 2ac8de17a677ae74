"""ABORT, chunk type 6: the end, at once.

    |     Type=6    |  Reserved   |T||            Length             |
    |                          Error causes                         ..

Source: RFC 9260 §3.3.7.
"""

from typing import ClassVar, Self

import attrs

from sctp.causes.cause import Cause, parse_causes, write_causes
from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["Abort"]


_TAG_REFLECTED = 0x01


@attrs.frozen(kw_only=True)
class Abort:
    """The association is gone; nothing answers this.

    Attributes:
        is_tag_reflected: whether the packet carries the verification tag that it answers to, because its sender does
            not know the right one (T).
        causes: why; may be empty.
    """

    TYPE: ClassVar[int] = 6

    is_tag_reflected: bool = False
    causes: tuple[Cause, ...] = ()

    @classmethod
    def parse(cls, flags: int, value: Reader) -> Self:
        """Read the flags and the value of a chunk.

        Raises:
            MalformedError: a cause is malformed.
        """
        return cls(is_tag_reflected=bool(flags & _TAG_REFLECTED), causes=parse_causes(value))

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        value = Writer()
        write_causes(value, self.causes)
        write_chunk(writer, self.TYPE, self.is_tag_reflected * _TAG_REFLECTED, value)
