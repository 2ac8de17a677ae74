"""Invalid Mandatory Parameter, cause 7: a field of an INIT or INIT ACK may not be what it is.

    |          Cause code=7         |         Cause length=4        |

Source: RFC 9260 §3.3.10.7.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["InvalidMandatoryParameter"]


@attrs.frozen(kw_only=True)
class InvalidMandatoryParameter:
    """The answer to an INIT with no streams, for example."""

    CODE: ClassVar[int] = 7

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("Invalid Mandatory Parameter")
        return cls()

    def serialize(self, value: Writer) -> None:
        """Write the value, which is empty."""
