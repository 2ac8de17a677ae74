"""Host Name Address, parameter type 11: deprecated, and a reason to abort.

    |            Type=11            |            Length             |
    |                   Host name, zero-terminated                 ..

Source: RFC 9260 §3.3.2.1.4.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["HostNameAddress"]


@attrs.frozen(kw_only=True)
class HostNameAddress:
    """A name instead of an address; the receiver of one sends an ABORT.

    Attributes:
        host_name: as it came.
    """

    TYPE: ClassVar[int] = 11

    host_name: bytes

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(host_name=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.host_name)
