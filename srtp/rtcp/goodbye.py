"""BYE, packet type 203: sources leave.

    |V=2|P|    SC   |   PT=BYE=203  |             length            |
    |                           SSRC/CSRC                           |  SC times
    |     length    |  reason for leaving, zeros to the next word   |  optional

Source: RFC 3550 §6.6.
"""

from typing import Self

import attrs

from srtp.rtcp.header import write_packet
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["Goodbye"]

PACKET_TYPE = 203


@attrs.frozen(kw_only=True)
class Goodbye:
    """Some sources will send no more.

    Attributes:
        ssrcs: the sources; up to 31.
        reason: why, as UTF-8 if the sender kept the rule; up to 255 bytes, empty for none.
    """

    ssrcs: tuple[int, ...]
    reason: bytes = b""

    @classmethod
    def parse(cls, count: int, body: Reader) -> Self:
        """Read the body of a packet with `count` sources.

        Raises:
            MalformedError: it is too short, or more than the filling of a word is left over.
        """
        ssrcs = tuple(body.u32("SSRC/CSRC") for _ in range(count))
        reason = body.vector(1, "reason for leaving").rest() if len(body) else b""
        if len(body) > 3:
            raise MalformedError("BYE", body.offset, f"{len(body)} trailing bytes")
        return cls(ssrcs=ssrcs, reason=reason)

    def serialize(self, writer: Writer) -> None:
        """Write the packet.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        body = Writer()
        for ssrc in self.ssrcs:
            body.u32(ssrc, "ssrc")
        if self.reason:
            body.vector(1, self.reason, "reason").pad(4)
        write_packet(writer, PACKET_TYPE, len(self.ssrcs), body)
