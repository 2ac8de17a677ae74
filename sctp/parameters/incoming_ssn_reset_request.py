"""Incoming SSN Reset Request, parameter type 14: the sender asks the peer to start streams anew.

    |            Type=14            |        Length=8 + 2 N         |
    |           Re-configuration request sequence number            |
    | stream number 1 (optional)    | stream number 2 (optional)   ..

Source: RFC 6525 §4.2.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["IncomingSsnResetRequest"]


@attrs.frozen(kw_only=True)
class IncomingSsnResetRequest:
    """A wish that the peer resets streams that it sends on.

    Attributes:
        request_sequence_number: 32 bits; starts at the initial TSN, one more for each new request.
        stream_ids: which streams; none means all.
    """

    TYPE: ClassVar[int] = 14

    request_sequence_number: int
    stream_ids: tuple[int, ...] = ()

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value.

        Raises:
            MalformedError: it is too short, or cut inside of a stream number.
        """
        request_sequence_number = value.u32("request sequence number")
        stream_ids = []
        while len(value):
            stream_ids.append(value.u16("stream number"))
        return cls(request_sequence_number=request_sequence_number, stream_ids=tuple(stream_ids))

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.u32(self.request_sequence_number, "request_sequence_number")
        for stream_id in self.stream_ids:
            value.u16(stream_id, "stream id")
