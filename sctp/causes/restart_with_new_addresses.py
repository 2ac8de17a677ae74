"""Restart of an Association with New Addresses, cause 11: somebody else might want to take it over.

    |         Cause code=11         |          Cause length         |
    |       Address parameters: type, length, and their values      ..

Source: RFC 9260 §3.3.10.11.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["RestartWithNewAddresses"]


@attrs.frozen(kw_only=True)
class RestartWithNewAddresses:
    """Inside of the ABORT that refuses an INIT.

    Attributes:
        addresses: the new ones, with their types and lengths.
    """

    CODE: ClassVar[int] = 11

    addresses: bytes = b""

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(addresses=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.addresses)
