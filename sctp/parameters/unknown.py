"""Any parameter that has no record here.

    |A|R|          Type             |            Length             |
    |                             Value                            ..

A and R say what is done with it: skip, and report.

Source: RFC 9260 §3.2.1.
"""

import attrs

from sctp.unrecognized import UnrecognizedAction
from wire.buffer import Writer

__all__ = ["UnknownParameter"]


@attrs.frozen(kw_only=True)
class UnknownParameter:
    """A parameter whose bytes are kept, to be reported or skipped.

    Attributes:
        type: 0 to 0xFFFF, none of those that have a record of their own.
        value: any bytes.
    """

    type: int
    value: bytes = b""

    @property
    def action(self) -> UnrecognizedAction:
        """What the type demands of us."""
        # RFC 9260 §3.2.1: the highest-order 2 bits say what is done with an unrecognized type.
        return UnrecognizedAction(self.type >> 14)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.value)
