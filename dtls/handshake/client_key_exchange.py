"""ClientKeyExchange of 1.2, for ECDHE (RFC 8422 §5.7)."""

from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["ClientKeyExchange"]


@attrs.frozen(kw_only=True)
class ClientKeyExchange:
    """The client's half of the key exchange.

    Attributes:
        public: the public value, in the encoding of the group that the server chose.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CLIENT_KEY_EXCHANGE
    public: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(public=reader.vector(1, "ecdh_Yc", minimum=1).rest())

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.vector(1, self.public, "ecdh_Yc")
