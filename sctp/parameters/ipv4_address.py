"""IPv4 Address, parameter type 5: a further address of a sender with several.

    |            Type=5             |           Length=8            |
    |                         IPv4 address                          |

Source: RFC 9260 §3.3.2.1.1; RFC 8261 §6.1, which forbids it over DTLS.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["Ipv4Address"]


@attrs.frozen(kw_only=True)
class Ipv4Address:
    """An address that the layer below knows better; ignored.

    Attributes:
        address: 4 bytes.
    """

    TYPE: ClassVar[int] = 5

    address: bytes

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        address = value.octets(4, "IPv4 Address")
        value.finish("IPv4 Address")
        return cls(address=address)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.address)
