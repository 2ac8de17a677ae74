"""Unresolvable Address, cause 5: an address of a kind that the sender cannot use.

    |          Cause code=5         |          Cause length         |
    |       An address parameter: type, length, and its value       ..

Source: RFC 9260 §3.3.10.5.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["UnresolvableAddress"]


@attrs.frozen(kw_only=True)
class UnresolvableAddress:
    """The answer to a host name.

    Attributes:
        address: the parameter, with its type and length.
    """

    CODE: ClassVar[int] = 5

    address: bytes = b""

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(address=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.address)
