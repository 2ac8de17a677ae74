"""SSN/TSN Reset Request, parameter type 15: the sender asks to number everything anew.

    |            Type=15            |           Length=8            |
    |           Re-configuration request sequence number            |

Source: RFC 6525 §4.3.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["SsnTsnResetRequest"]


@attrs.frozen(kw_only=True)
class SsnTsnResetRequest:
    """A wish to start all sequence numbers of an association over.

    Attributes:
        request_sequence_number: 32 bits; starts at the initial TSN, one more for each new request.
    """

    TYPE: ClassVar[int] = 15

    request_sequence_number: int

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 4 bytes.
        """
        request_sequence_number = value.u32("request sequence number")
        value.finish("SSN/TSN Reset Request")
        return cls(request_sequence_number=request_sequence_number)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.request_sequence_number, "request_sequence_number")
