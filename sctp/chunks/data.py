"""DATA, chunk type 0: a message, or a piece of one.

    |    Type=0     |  Res  |I|U|B|E|            Length             |
    |                              TSN                              |
    |      Stream identifier        |    Stream sequence number     |
    |                  Payload protocol identifier                  |
    |                           User data                          ..

Source: RFC 9260 §3.3.1.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["Data"]

_IMMEDIATE = 0x08
_UNORDERED = 0x04
_BEGINNING = 0x02
_ENDING = 0x01


@attrs.frozen(kw_only=True)
class Data:
    """One fragment of a user message.

    Attributes:
        is_immediate: whether the sender would like to have its SACK at once (I).
        is_unordered: whether the message is delivered as soon as it is whole, whatever its number (U).
        is_beginning: whether this is the first fragment of its message (B).
        is_end: whether this is the last fragment of its message (E).
        tsn: transmission sequence number, wrapped, 32 bits; one for each fragment.
        stream_id: stream identifier, 16 bits.
        stream_sequence_number: wrapped, 16 bits; one for each ordered message of a stream, meaningless when unordered.
        ppid: payload protocol identifier, 32 bits.
        user_data: the fragment. Empty parses, because the receiver has to say which TSN it was (`NoUserData`).
    """

    TYPE: ClassVar[int] = 0
    HEADER_LENGTH: ClassVar[int] = 16
    """Bytes in front of the user data, the chunk header included."""

    is_immediate: bool = False
    is_unordered: bool = False
    is_beginning: bool = True
    is_end: bool = True
    tsn: int
    stream_id: int
    stream_sequence_number: int = 0
    ppid: int = 0
    user_data: bytes

    @classmethod
    def parse(cls, flags: int, value: Reader) -> Self:
        """Read the flags and the value of a chunk.

        Raises:
            MalformedError: it is too short.
        """
        return cls(
            is_immediate=bool(flags & _IMMEDIATE),
            is_unordered=bool(flags & _UNORDERED),
            is_beginning=bool(flags & _BEGINNING),
            is_end=bool(flags & _ENDING),
            tsn=value.u32("TSN"),
            stream_id=value.u16("Stream Identifier"),
            stream_sequence_number=value.u16("Stream Sequence Number"),
            ppid=value.u32("Payload Protocol Identifier"),
            user_data=value.rest(),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        flags = (
            self.is_immediate * _IMMEDIATE
            | self.is_unordered * _UNORDERED
            | self.is_beginning * _BEGINNING
            | self.is_end * _ENDING
        )
        value = Writer().u32(self.tsn, "tsn").u16(self.stream_id, "stream_id")
        value.u16(self.stream_sequence_number, "stream_sequence_number").u32(self.ppid, "ppid").octets(self.user_data)
        write_chunk(writer, self.TYPE, flags, value)
