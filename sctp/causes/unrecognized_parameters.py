"""Unrecognized Parameters, cause 8: parameters of an INIT ACK want to be reported and are not known.

    |          Cause code=8         |          Cause length         |
    |           Parameters: type, length, and their values          ..

Source: RFC 9260 §3.3.10.8 and §3.2.2.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["UnrecognizedParameters"]


@attrs.frozen(kw_only=True)
class UnrecognizedParameters:
    """Sent beside the COOKIE ECHO.

    Attributes:
        parameters: all of them, with their types and lengths (`sctp.parameters.parameter.write_parameters`).
    """

    CODE: ClassVar[int] = 8

    parameters: bytes = b""

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(parameters=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.parameters)
