"""Finished, the same in both versions but for its size (RFC 8446 §4.4.4, RFC 5246 §7.4.9)."""

from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["Finished"]


@attrs.frozen(kw_only=True)
class Finished:
    """Proof that both sides saw the same handshake.

    Attributes:
        verify_data: a MAC over the transcript: a hash's length in 1.3, 12 bytes in 1.2.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.FINISHED
    verify_data: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(verify_data=reader.rest())

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.octets(self.verify_data)
