"""Forward-TSN-Supported, parameter type 0xC000: its sender understands FORWARD TSN.

    |          Type=0xC000          |           Length=4            |

Source: RFC 3758 §3.1.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["ForwardTsnSupported"]


@attrs.frozen(kw_only=True)
class ForwardTsnSupported:
    """Messages may be given up (partial reliability) if both sides send this."""

    TYPE: ClassVar[int] = 0xC000

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("Forward-TSN-Supported")
        return cls()

    def serialize(self, value: Writer) -> None:
        """Write the value, which is empty."""
