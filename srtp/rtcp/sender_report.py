"""SR, packet type 200: what we have sent, when, and how we receive the peer.

    |V=2|P|    RC   |   PT=SR=200   |             length            |
    |                         SSRC of sender                        |
    |                   NTP timestamp (64 bits)                     |
    |                         RTP timestamp                         |
    |                     sender's packet count                     |
    |                      sender's octet count                     |
    |                  RC report blocks, 24 bytes each              |
    |                  profile-specific extensions                  |

Source: RFC 3550 §6.4.1.
"""

from typing import Self

import attrs

from srtp.rtcp.header import write_packet
from srtp.rtcp.report_block import ReportBlock, read_extension
from wire.buffer import Reader, Writer

__all__ = ["SenderReport"]

PACKET_TYPE = 200


@attrs.frozen(kw_only=True)
class SenderReport:
    """A report by somebody who sends media.

    Attributes:
        ssrc: who reports.
        ntp_timestamp: 64 bits, the wall clock when this was sent (`srtp.rtcp.ntp`).
        rtp_timestamp: the same instant on the media's clock.
        packet_count: RTP packets sent since the beginning, modulo 2^32.
        octet_count: bytes of payload in them, modulo 2^32.
        report_blocks: what is received; up to 31.
        extension: profile-specific, whole 32-bit words.
    """

    ssrc: int
    ntp_timestamp: int
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    report_blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    @classmethod
    def parse(cls, count: int, body: Reader) -> Self:
        """Read the body of a packet with `count` report blocks.

        Raises:
            MalformedError: it is too short, or the extension is not made of words.
        """
        return cls(
            ssrc=body.u32("SSRC of sender"),
            ntp_timestamp=body.u64("NTP timestamp"),
            rtp_timestamp=body.u32("RTP timestamp"),
            packet_count=body.u32("sender's packet count"),
            octet_count=body.u32("sender's octet count"),
            report_blocks=tuple(ReportBlock.parse(body) for _ in range(count)),
            extension=read_extension(body),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the packet.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        body = Writer().u32(self.ssrc, "ssrc").u64(self.ntp_timestamp, "ntp_timestamp")
        body.u32(self.rtp_timestamp, "rtp_timestamp").u32(self.packet_count, "packet_count")
        body.u32(self.octet_count, "octet_count")
        for block in self.report_blocks:
            block.serialize(body)
        body.octets(self.extension)
        write_packet(writer, PACKET_TYPE, len(self.report_blocks), body)
