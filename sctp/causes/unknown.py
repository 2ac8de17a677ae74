"""Any error cause that has no record here.

    |          Cause code           |         Cause length          |
    |                  Cause-specific information                  ..

Source: RFC 9260 §3.3.10.
"""

import attrs

from wire.buffer import Writer

__all__ = ["UnknownCause"]


@attrs.frozen(kw_only=True)
class UnknownCause:
    """A cause whose bytes are kept.

    Attributes:
        code: 0 to 0xFFFF, none of those that have a record of their own.
        value: any bytes.
    """

    code: int
    value: bytes = b""

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.value)
