"""How well one source is received.

    |                 SSRC of the source reported on                |
    | fraction lost |       cumulative number of packets lost       |
    |           extended highest sequence number received           |
    |                      interarrival jitter                      |
    |                         last SR (LSR)                         |
    |                   delay since last SR (DLSR)                  |

Source: RFC 3550 §6.4.1.
"""

from typing import Self

import attrs

from wire.buffer import Reader, Writer
from wire.errors import LocalProtocolError, MalformedError

__all__ = ["ReportBlock", "read_extension"]

_LOST_HALF = 1 << 23


@attrs.frozen(kw_only=True)
class ReportBlock:
    """One source, as the writer of the report receives it.

    Attributes:
        ssrc: the source.
        fraction_lost: 0 to 255, in 1/256 of what was expected since the last report.
        cumulative_lost: packets lost since the beginning, -2^23 to 2^23 - 1; duplicates make it smaller.
        extended_highest_sequence_number: 32 bits: rollovers, then the highest sequence number.
        jitter: in units of the RTP timestamp.
        last_sender_report: middle bits of the NTP timestamp of the source's last SR (LSR); 0 for none.
        delay_since_last_sender_report: from that SR to this report, in 1/65536 s (DLSR).
    """

    ssrc: int
    fraction_lost: int = 0
    cumulative_lost: int = 0
    extended_highest_sequence_number: int = 0
    jitter: int = 0
    last_sender_report: int = 0
    delay_since_last_sender_report: int = 0

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a block of 24 bytes.

        Raises:
            MalformedError: it is shorter.
        """
        ssrc = reader.u32("SSRC")
        fraction_lost = reader.u8("fraction lost")
        lost = reader.u24("cumulative number of packets lost")
        return cls(
            ssrc=ssrc,
            fraction_lost=fraction_lost,
            cumulative_lost=lost - 2 * _LOST_HALF if lost >= _LOST_HALF else lost,
            extended_highest_sequence_number=reader.u32("extended highest sequence number"),
            jitter=reader.u32("interarrival jitter"),
            last_sender_report=reader.u32("LSR"),
            delay_since_last_sender_report=reader.u32("DLSR"),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the block.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        if not -_LOST_HALF <= self.cumulative_lost < _LOST_HALF:
            raise LocalProtocolError(f"cumulative_lost: {self.cumulative_lost} does not fit 24 bits")
        writer.u32(self.ssrc, "ssrc").u8(self.fraction_lost, "fraction_lost")
        writer.u24(self.cumulative_lost & (2 * _LOST_HALF - 1))
        writer.u32(self.extended_highest_sequence_number, "extended_highest_sequence_number")
        writer.u32(self.jitter, "jitter").u32(self.last_sender_report, "last_sender_report")
        writer.u32(self.delay_since_last_sender_report, "delay_since_last_sender_report")


def read_extension(body: Reader) -> bytes:
    """Read what a report holds behind its blocks.

    Raises:
        MalformedError: it is not made of 32-bit words.
    """
    if len(body) % 4:
        raise MalformedError("profile-specific extensions", body.offset, "are not made of 32-bit words")
    return body.rest()
