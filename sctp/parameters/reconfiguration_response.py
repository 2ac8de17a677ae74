"""Re-configuration Response, parameter type 16: what became of a request.

    |            Type=16            |        Length=12 or 20        |
    |           Re-configuration response sequence number           |
    |                            Result                             |
    |                 Sender's next TSN (optional)                  |
    |                Receiver's next TSN (optional)                 |

Source: RFC 6525 §4.4.
"""

import enum
from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["ReconfigurationResponse", "ReconfigurationResult"]


class ReconfigurationResult(enum.IntEnum):
    """What became of a request.

    Source: RFC 6525 §4.4, table 3.
    """

    NOTHING_TO_DO = 0
    PERFORMED = 1
    DENIED = 2
    WRONG_SSN = 3
    ALREADY_IN_PROGRESS = 4
    BAD_SEQUENCE_NUMBER = 5
    IN_PROGRESS = 6


@attrs.frozen(kw_only=True)
class ReconfigurationResponse:
    """The answer to any request of a RE-CONFIG chunk.

    Attributes:
        response_sequence_number: the request's sequence number, 32 bits.
        result: a `ReconfigurationResult`, or a number that RFC 6525 does not know.
        next_tsns: the sender's and the receiver's next TSN, wrapped; only in the answer to an SSN/TSN Reset Request.
    """

    TYPE: ClassVar[int] = 16

    response_sequence_number: int
    result: int
    next_tsns: tuple[int, int] | None = None

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is neither of 8 nor of 16 bytes.
        """
        response_sequence_number = value.u32("response sequence number")
        result = value.u32("result")
        # RFC 6525 §4.4: either both optional fields MUST be present, or no field.
        next_tsns = (value.u32("sender's next TSN"), value.u32("receiver's next TSN")) if len(value) else None
        value.finish("Re-configuration Response")
        return cls(response_sequence_number=response_sequence_number, result=result, next_tsns=next_tsns)

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.response_sequence_number, "response_sequence_number").u32(self.result, "result")
        if self.next_tsns is not None:
            sender_next_tsn, receiver_next_tsn = self.next_tsns
            value.u32(sender_next_tsn, "sender's next TSN").u32(receiver_next_tsn, "receiver's next TSN")
