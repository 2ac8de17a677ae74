"""SHUTDOWN COMPLETE, chunk type 14: the association is gone, with everything delivered.

    |    Type=14    |  Reserved   |T|           Length=4            |

Source: RFC 9260 §3.3.13.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["ShutdownComplete"]


_TAG_REFLECTED = 0x01


@attrs.frozen(kw_only=True)
class ShutdownComplete:
    """The last step of the end; alone in its packet.

    Attributes:
        is_tag_reflected: whether the packet carries the verification tag that it answers to, because its sender does
            not know the right one (T).
    """

    TYPE: ClassVar[int] = 14

    is_tag_reflected: bool = False

    @classmethod
    def parse(cls, flags: int, value: Reader) -> Self:
        """Read the flags of a chunk, and its value, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("SHUTDOWN COMPLETE")
        return cls(is_tag_reflected=bool(flags & _TAG_REFLECTED))

    def serialize(self, writer: Writer) -> None:
        """Write the chunk."""
        write_chunk(writer, self.TYPE, self.is_tag_reflected * _TAG_REFLECTED, Writer())
