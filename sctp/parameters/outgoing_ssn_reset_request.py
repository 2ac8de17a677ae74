"""Outgoing SSN Reset Request, parameter type 13: the sender starts some of its streams anew.

    |            Type=13            |        Length=16 + 2 N        |
    |           Re-configuration request sequence number            |
    |           Re-configuration response sequence number           |
    |                Sender's last assigned TSN                     |
    | stream number 1 (optional)    | stream number 2 (optional)   ..

Source: RFC 6525 §4.1.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["OutgoingSsnResetRequest"]


@attrs.frozen(kw_only=True)
class OutgoingSsnResetRequest:
    """The way a data channel is closed (RFC 8831 §6.7).

    Attributes:
        request_sequence_number: 32 bits; starts at the initial TSN, one more for each new request.
        response_sequence_number: of the incoming request that this answers, else the last one that was received.
        sender_last_tsn: wrapped, 32 bits; the reset happens when all up to it has arrived.
        stream_ids: which streams; none means all.
    """

    TYPE: ClassVar[int] = 13

    request_sequence_number: int
    response_sequence_number: int
    sender_last_tsn: int
    stream_ids: tuple[int, ...] = ()

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is too short, or cut inside of a stream number.
        """
        request_sequence_number = value.u32("request sequence number")
        response_sequence_number = value.u32("response sequence number")
        sender_last_tsn = value.u32("sender's last assigned TSN")
        stream_ids = []
        while len(value):
            stream_ids.append(value.u16("stream number"))
        return cls(
            request_sequence_number=request_sequence_number,
            response_sequence_number=response_sequence_number,
            sender_last_tsn=sender_last_tsn,
            stream_ids=tuple(stream_ids),
        )

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.request_sequence_number, "request_sequence_number")
        value.u32(self.response_sequence_number, "response_sequence_number")
        value.u32(self.sender_last_tsn, "sender_last_tsn")
        for stream_id in self.stream_ids:
            value.u16(stream_id, "stream id")
