"""Protocol Violation, cause 13: the peer broke a rule that has no cause of its own.

    |         Cause code=13         |          Cause length         |
    |                     Additional information                    ..

Source: RFC 9260 §3.3.10.13.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["ProtocolViolation"]


@attrs.frozen(kw_only=True)
class ProtocolViolation:
    """Inside of an ABORT or an ERROR.

    Attributes:
        information: what happened, for people; often UTF-8.
    """

    CODE: ClassVar[int] = 13

    information: bytes = b""

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(information=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.information)
