"""RR, packet type 201: how we receive the peer, from somebody who sends nothing.

    |V=2|P|    RC   |   PT=RR=201   |             length            |
    |                     SSRC of packet sender                     |
    |                  RC report blocks, 24 bytes each              |
    |                  profile-specific extensions                  |

Source: RFC 3550 §6.4.2.
"""

from typing import Self

import attrs

from srtp.rtcp.header import write_packet
from srtp.rtcp.report_block import ReportBlock, read_extension
from wire.buffer import Reader, Writer

__all__ = ["ReceiverReport"]

PACKET_TYPE = 201


@attrs.frozen(kw_only=True)
class ReceiverReport:
    """A report by somebody who only receives.

    Attributes:
        ssrc: who reports.
        report_blocks: what is received; up to 31.
        extension: profile-specific, whole 32-bit words.
    """

    ssrc: int
    report_blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    @classmethod
    def parse(cls, count: int, body: Reader) -> Self:
        """Read the body of a packet with `count` report blocks.

        Raises:
            MalformedError: it is too short, or the extension is not made of words.
        """
        return cls(
            ssrc=body.u32("SSRC of packet sender"),
            report_blocks=tuple(ReportBlock.parse(body) for _ in range(count)),
            extension=read_extension(body),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the packet.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        body = Writer().u32(self.ssrc, "ssrc")
        for block in self.report_blocks:
            block.serialize(body)
        body.octets(self.extension)
        write_packet(writer, PACKET_TYPE, len(self.report_blocks), body)
