"""Cookie Preservative, parameter type 9: a wish for a cookie that lives longer.

    |            Type=9             |           Length=8            |
    |         Suggested cookie life-span increment (msec.)          |

Source: RFC 9260 §3.3.2.1.3.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["CookiePreservative"]


@attrs.frozen(kw_only=True)
class CookiePreservative:
    """Sent by who came too late with an earlier cookie; may be ignored.

    Attributes:
        increment_ms: milliseconds to add, 32 bits.
    """

    TYPE: ClassVar[int] = 9

    increment_ms: int

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        increment_ms = value.u32("life-span increment")
        value.finish("Cookie Preservative")
        return cls(increment_ms=increment_ms)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.increment_ms, "increment_ms")
