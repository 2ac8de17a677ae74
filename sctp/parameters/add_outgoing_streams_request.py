"""Add Outgoing Streams Request, parameter type 17: the sender wants to have more streams.

    |            Type=17            |           Length=12           |
    |           Re-configuration request sequence number            |
    |     number of new streams     |           reserved            |

Source: RFC 6525 §4.5.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["AddOutgoingStreamsRequest"]


@attrs.frozen(kw_only=True)
class AddOutgoingStreamsRequest:
    """More streams that the sender sends on.

    Attributes:
        request_sequence_number: 32 bits; starts at the initial TSN, one more for each new request.
        new_streams: how many more, 16 bits.
    """

    TYPE: ClassVar[int] = 17

    request_sequence_number: int
    new_streams: int

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is not of 8 bytes.
        """
        request_sequence_number = value.u32("request sequence number")
        new_streams = value.u16("number of new streams")
        # RFC 6525 §4.5: the reserved field is ignored by the receiver.
        value.skip(2, "reserved")
        value.finish("Add Outgoing Streams Request")
        return cls(request_sequence_number=request_sequence_number, new_streams=new_streams)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.request_sequence_number, "request_sequence_number")
        value.u16(self.new_streams, "new_streams").u16(0)
