"""Unrecognized Parameter, parameter type 8: an INIT ACK hands back what its sender did not know.

    |            Type=8             |            Length             |
    |           A parameter: type, length, and its value           ..

Source: RFC 9260 §3.3.3.1.2 and §3.2.2.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["UnrecognizedParameter"]


@attrs.frozen(kw_only=True)
class UnrecognizedParameter:
    """A parameter of an INIT that was not recognized and wants to be reported.

    Attributes:
        parameter: all of it, with its type and length (`sctp.parameters.parameter.serialize_parameter`).
    """

    TYPE: ClassVar[int] = 8

    parameter: bytes

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(parameter=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.parameter)
