"""User-Initiated Abort, cause 12: the application wants it.

    |         Cause code=12         |          Cause length         |
    |                    Upper layer abort reason                   ..

Source: RFC 9260 §3.3.10.12.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["UserInitiatedAbort"]


@attrs.frozen(kw_only=True)
class UserInitiatedAbort:
    """Inside of an ABORT that no protocol rule asked for.

    Attributes:
        reason: whatever the application says; often UTF-8.
    """

    CODE: ClassVar[int] = 12

    reason: bytes = b""

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(reason=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.reason)
