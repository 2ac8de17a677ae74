"""RTCP packets that we do not know: kept as they came.

Source: RFC 3550 §6.1: packets of unknown types are ignored, not refused.
"""

from typing import Self

import attrs

from srtp.rtcp.header import write_packet
from wire.buffer import Reader, Writer

__all__ = ["UnknownPacket"]


@attrs.frozen(kw_only=True)
class UnknownPacket:
    """A packet of another type, or a feedback message of another format.

    Attributes:
        packet_type: 0 to 255.
        count: the five bits that count, or tell the format.
        body: what follows the header, without padding.
        padding_size: how many bytes of padding follow, the one that counts them included; 0 for none.
    """

    packet_type: int
    count: int
    body: bytes = b""
    padding_size: int = 0

    @classmethod
    def parse(cls, packet_type: int, count: int, body: Reader, padding_size: int) -> Self:
        """Read a body; it cannot fail."""
        return cls(packet_type=packet_type, count=count, body=body.rest(), padding_size=padding_size)

    def serialize(self, writer: Writer) -> None:
        """Write the packet.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        body = Writer().octets(self.body)
        if self.padding_size:
            body.octets(bytes(self.padding_size - 1)).u8(self.padding_size, "padding_size")
        write_packet(writer, self.packet_type, self.count, body, self.padding_size)
