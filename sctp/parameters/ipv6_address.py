"""IPv6 Address, parameter type 6: a further address of a sender with several.

    |            Type=6             |           Length=20           |
    |                     IPv6 address, 16 bytes                    |

Source: RFC 9260 §3.3.2.1.2; RFC 8261 §6.1, which forbids it over DTLS.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["Ipv6Address"]


@attrs.frozen(kw_only=True)
class Ipv6Address:
    """An address that the layer below knows better; ignored.

    Attributes:
        address: 16 bytes.
    """

    TYPE: ClassVar[int] = 6

    address: bytes

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 16 bytes.
        """
        address = value.octets(16, "IPv6 Address")
        value.finish("IPv6 Address")
        return cls(address=address)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.address)
