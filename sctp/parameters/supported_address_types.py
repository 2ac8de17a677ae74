"""Supported Address Types, parameter type 12: which kinds of addresses a sender could use.

    |            Type=12            |            Length             |
    |        Address type #1        |        Address type #2       ..

Source: RFC 9260 §3.3.2.1.5.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["SupportedAddressTypes"]


@attrs.frozen(kw_only=True)
class SupportedAddressTypes:
    """Meaningless over DTLS; ignored.

    Attributes:
        types: parameter types of addresses, 5 for IPv4 and 6 for IPv6.
    """

    TYPE: ClassVar[int] = 12

    types: tuple[int, ...]

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is cut inside of a type.
        """
        types = []
        while len(value):
            types.append(value.u16("address type"))
        return cls(types=tuple(types))

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        for address_type in self.types:
            value.u16(address_type, "address type")
