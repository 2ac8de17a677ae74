"""HEARTBEAT ACK, chunk type 5: yes, still here.

    |     Type=5    |  Chunk flags  |            Length             |
    |       Heartbeat Info, parameter type 1 (RFC 9260 §3.3.5)     ..

Source: RFC 9260 §3.3.6.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from sctp.parameters.heartbeat_info import HeartbeatInfo
from sctp.parameters.parameter import parse_parameters, write_parameters
from wire.buffer import Reader, Writer
from wire.errors import MalformedError

__all__ = ["HeartbeatAck"]


@attrs.frozen(kw_only=True)
class HeartbeatAck:
    """The answer to a HEARTBEAT.

    Attributes:
        info: what only the sender of the HEARTBEAT understands.
    """

    TYPE: ClassVar[int] = 5

    info: bytes

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: it is not one Heartbeat Info parameter.
        """
        at = value.offset
        match parse_parameters(value):
            case (HeartbeatInfo(info=info),):
                return cls(info=info)
        raise MalformedError("Heartbeat Information", at, "is not one Heartbeat Info parameter")

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: the info does not fit.
        """
        value = Writer()
        write_parameters(value, [HeartbeatInfo(info=self.info)])
        write_chunk(writer, self.TYPE, 0, value)
