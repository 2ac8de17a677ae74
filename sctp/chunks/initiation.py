"""What INIT and INIT ACK have in common, which is everything but the type.

    |   Type=1 or 2 |  Chunk flags  |            Length             |
    |                         Initiate tag                          |
    |          Advertised receiver window credit (a_rwnd)           |
    |  Number of outbound streams   |   Number of inbound streams   |
    |                          Initial TSN                          |
    |                          Parameters                          ..

Source: RFC 9260 §3.3.2 and §3.3.3.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from sctp.parameters.parameter import Parameter, parse_parameters, write_parameters
from wire.buffer import Reader, Writer

__all__ = ["Initiation"]


@attrs.frozen(kw_only=True)
class Initiation:
    """How one side wants to have an association.

    That tag and numbers of streams are not zero, and the window not below 1500, is for the receiver to check: what it
    answers depends on its state.

    Attributes:
        initiate_tag: 32 bits; the verification tag of all packets towards the sender of this.
        a_rwnd: bytes that the sender has room for.
        outbound_streams: how many streams the sender wants to send on.
        inbound_streams: on how many streams the sender lets its peer send.
        initial_tsn: the first TSN of the sender, wrapped, 32 bits.
        parameters: in order, unknown ones included (`sctp.unrecognized.sift`).
    """

    TYPE: ClassVar[int]

    initiate_tag: int
    a_rwnd: int
    outbound_streams: int
    inbound_streams: int
    initial_tsn: int
    parameters: tuple[Parameter, ...] = ()

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: it is too short, or a parameter is malformed.
        """
        return cls(
            initiate_tag=value.u32("Initiate Tag"),
            a_rwnd=value.u32("a_rwnd"),
            outbound_streams=value.u16("Number of Outbound Streams"),
            inbound_streams=value.u16("Number of Inbound Streams"),
            initial_tsn=value.u32("Initial TSN"),
            parameters=parse_parameters(value),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        value = Writer().u32(self.initiate_tag, "initiate_tag").u32(self.a_rwnd, "a_rwnd")
        value.u16(self.outbound_streams, "outbound_streams").u16(self.inbound_streams, "inbound_streams")
        value.u32(self.initial_tsn, "initial_tsn")
        write_parameters(value, self.parameters)
        write_chunk(writer, self.TYPE, 0, value)
