"""Out of Resource, cause 4: the sender cannot take more.

    |          Cause code=4         |         Cause length=4        |

Source: RFC 9260 §3.3.10.4.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["OutOfResource"]


@attrs.frozen(kw_only=True)
class OutOfResource:
    """Usually inside of an ABORT."""

    CODE: ClassVar[int] = 4

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value, which is empty.

        Raises:
            MalformedError: it is not.
        """
        value.finish("Out of Resource")
        return cls()

    def serialize(self, value: Writer) -> None:
        """Write the value, which is empty."""
