"""Heartbeat Info, parameter type 1: what a HEARTBEAT carries there and back.

    |            Type=1             |            Length             |
    |                Sender-specific heartbeat info                ..

Source: RFC 9260 §3.3.5.
"""

from typing import ClassVar, Self

import attrs

from wire.buffer import Reader, Writer

__all__ = ["HeartbeatInfo"]


@attrs.frozen(kw_only=True)
class HeartbeatInfo:
    """Something that only its sender understands.

    Attributes:
        info: any bytes.
    """

    TYPE: ClassVar[int] = 1

    info: bytes

    @classmethod
    def parse(cls, value: Reader) -> Self:
        """Read the value: any bytes."""
        return cls(info=value.rest())

    def serialize(self, value: Writer) -> None:
        """Write the value."""
        value.octets(self.info)
