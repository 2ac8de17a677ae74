"""FORWARD TSN, chunk type 192: do not wait for these any longer.

    |   Type=192    |  Chunk flags  |            Length             |
    |                      New cumulative TSN                       |
    |            Stream 1           |       Stream sequence 1       |  any number of times

Source: RFC 3758 §3.2.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["ForwardTsn"]


@attrs.frozen(kw_only=True)
class ForwardTsn:
    """Messages have been given up.

    Attributes:
        new_cumulative_tsn: wrapped, 32 bits; it and all before it count as arrived.
        skipped: for each stream with ordered messages among them, the stream identifier and the last stream sequence
            number that was given up, 16 bits each.
    """

    TYPE: ClassVar[int] = 192

    new_cumulative_tsn: int
    skipped: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: it is too short, or cut inside of a pair.
        """
        new_cumulative_tsn = value.u32("New Cumulative TSN")
        skipped = []
        while len(value):
            skipped.append((value.u16("Stream"), value.u16("Stream Sequence")))
        return cls(new_cumulative_tsn=new_cumulative_tsn, skipped=tuple(skipped))

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        value = Writer().u32(self.new_cumulative_tsn, "new_cumulative_tsn")
        for stream_id, stream_sequence_number in self.skipped:
            value.u16(stream_id, "stream id").u16(stream_sequence_number, "stream sequence number")
        write_chunk(writer, self.TYPE, 0, value)
