"""SACK, chunk type 3: what has arrived, and how much more may be sent.

    |    Type=3     |  Chunk flags  |            Length             |
    |                      Cumulative TSN Ack                       |
    |          Advertised receiver window credit (a_rwnd)           |
    |  Number of Gap Ack Blocks=N   |  Number of Duplicate TSNs=M   |
    |    Gap Ack Block #1 start     |     Gap Ack Block #1 end      |  N times
    |                        Duplicate TSN 1                        |  M times

Source: RFC 9260 §3.3.4.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from wire.buffer import Reader, Writer

__all__ = ["Sack"]


@attrs.frozen(kw_only=True)
class Sack:
    """An acknowledgement, with the holes in it.

    Attributes:
        cumulative_tsn_ack: wrapped, 32 bits; it and all before it have arrived.
        a_rwnd: bytes that the sender has room for, what is in flight included.
        gap_ack_blocks: first and last of each piece that has arrived beyond a hole, as offsets from the cumulative
            TSN, 16 bits each. That start is not beyond end is for the receiver to check.
        duplicate_tsns: what arrived again, wrapped, once for each time.
    """

    TYPE: ClassVar[int] = 3

    cumulative_tsn_ack: int
    a_rwnd: int
    gap_ack_blocks: tuple[tuple[int, int], ...] = ()
    duplicate_tsns: tuple[int, ...] = ()

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: the numbers of blocks and duplicates are not those that it says.
        """
        cumulative_tsn_ack = value.u32("Cumulative TSN Ack")
        a_rwnd = value.u32("a_rwnd")
        block_count = value.u16("Number of Gap Ack Blocks")
        duplicate_count = value.u16("Number of Duplicate TSNs")
        blocks = tuple((value.u16("Gap Ack Block Start"), value.u16("Gap Ack Block End")) for _ in range(block_count))
        duplicates = tuple(value.u32("Duplicate TSN") for _ in range(duplicate_count))
        value.finish("SACK")
        return cls(
            cumulative_tsn_ack=cumulative_tsn_ack,
            a_rwnd=a_rwnd,
            gap_ack_blocks=blocks,
            duplicate_tsns=duplicates,
        )

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        value = Writer().u32(self.cumulative_tsn_ack, "cumulative_tsn_ack").u32(self.a_rwnd, "a_rwnd")
        value.u16(len(self.gap_ack_blocks), "number of gap ack blocks")
        value.u16(len(self.duplicate_tsns), "number of duplicate TSNs")
        for start, end in self.gap_ack_blocks:
            value.u16(start, "gap ack block start").u16(end, "gap ack block end")
        for tsn in self.duplicate_tsns:
            value.u32(tsn, "duplicate TSN")
        write_chunk(writer, self.TYPE, 0, value)
