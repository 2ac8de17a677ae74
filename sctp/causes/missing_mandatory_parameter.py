"""Missing Mandatory Parameter, cause 2: an INIT ACK came without its cookie.

    |          Cause code=2         |      Cause length=8 + 2 N     |
    |                 Number of missing parameters=N                |
    |    missing parameter type 1   |    missing parameter type 2  ..

Source: RFC 9260 §3.3.10.2.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["MissingMandatoryParameter"]


@attrs.frozen(kw_only=True)
class MissingMandatoryParameter:
    """Something that has to be in an INIT or INIT ACK was not.

    Attributes:
        types: of the parameters that are missing.
    """

    CODE: ClassVar[int] = 2

    types: tuple[int, ...]

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: the number of types is not the one it says.
        """
        count = value.u32("number of missing parameters")
        # The number is believed only as far as there are bytes: a large one fails at the first that is not there.
        types = tuple(value.u16("missing parameter type") for _ in range(count))
        value.finish("Missing Mandatory Parameter")
        return cls(types=types)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(len(self.types))
        for parameter_type in self.types:
            value.u16(parameter_type, "parameter type")
