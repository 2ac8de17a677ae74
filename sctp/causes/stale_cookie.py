"""Stale Cookie, cause 3: a cookie of ours came back too late.

    |          Cause code=3         |         Cause length=8        |
    |                  Measure of staleness (usec.)                 |

Source: RFC 9260 §3.3.10.3.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["StaleCookie"]


@attrs.frozen(kw_only=True)
class StaleCookie:
    """The cookie was genuine, and has expired.

    Attributes:
        staleness_us: for how many microseconds it has been expired; 0 when that is not told.
    """

    CODE: ClassVar[int] = 3

    staleness_us: int

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        staleness_us = value.u32("measure of staleness")
        value.finish("Stale Cookie")
        return cls(staleness_us=staleness_us)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.staleness_us, "staleness_us")
