"""No User Data, cause 9: a DATA chunk came without data.

    |          Cause code=9         |         Cause length=8        |
    |                              TSN                              |

Source: RFC 9260 §3.3.10.9 and §6.2.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["NoUserData"]


@attrs.frozen(kw_only=True)
class NoUserData:
    """Usually inside of an ABORT.

    Attributes:
        tsn: of the DATA chunk, wrapped.
    """

    CODE: ClassVar[int] = 9

    tsn: int

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        tsn = value.u32("TSN")
        value.finish("No User Data")
        return cls(tsn=tsn)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.tsn, "tsn")
