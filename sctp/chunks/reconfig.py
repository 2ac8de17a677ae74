"""RE-CONFIG, chunk type 130: streams are started anew.

    |    Type=130   |  Chunk flags  |            Length             |
    |                     One or two parameters                     ..

Source: RFC 6525 §3.1.
"""

from typing import ClassVar, Self

import attrs

from sctp.chunks.header import write_chunk
from sctp.parameters.parameter import Parameter, parse_parameters, write_parameters
from wire.buffer import Reader, Writer

__all__ = ["ReConfig"]


@attrs.frozen(kw_only=True)
class ReConfig:
    """One or two requests or responses.

    Attributes:
        parameters: in order. Which combinations are allowed (RFC 6525 §3.1) is for the receiver to check.
    """

    TYPE: ClassVar[int] = 130

    parameters: tuple[Parameter, ...] = ()

    @classmethod
    def parse(cls, _flags: int, value: Reader) -> Self:
        """Read the value of a chunk.

        Raises:
            MalformedError: a parameter is malformed.
        """
        return cls(parameters=parse_parameters(value))

    def serialize(self, writer: Writer) -> None:
        """Write the chunk.

        Raises:
            LocalProtocolError: a field is out of range.
        """
        value = Writer()
        write_parameters(value, self.parameters)
        write_chunk(writer, self.TYPE, 0, value)
