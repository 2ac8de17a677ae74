"""ServerKeyExchange of 1.2, for ECDHE with a signature (RFC 8422 §5.4)."""

from typing import ClassVar, Self

import attrs

from dtls.alerts import misbehaved
from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["ServerKeyExchange", "ecdh_params"]

_NAMED_CURVE = 3


@attrs.frozen(kw_only=True)
class ServerKeyExchange:
    """The server's half of the key exchange, signed.

    Attributes:
        group: number of the group.
        public: the public value, in the encoding of the group.
        algorithm: number of the signature scheme.
        signature: over both randoms and `ecdh_params`.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.SERVER_KEY_EXCHANGE
    group: int
    public: bytes
    algorithm: int
    signature: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body.

        Raises:
            AbortError: the curve has no name.
        """
        # RFC 8422 §5.4: all curve types but named_curve are deprecated.
        if reader.u8("curve_type") != _NAMED_CURVE:
            raise misbehaved("the server's curve has no name")
        return cls(
            group=reader.u16("namedcurve"),
            public=reader.vector(1, "public", minimum=1).rest(),
            algorithm=reader.u16("algorithm"),
            signature=reader.vector(2, "signature").rest(),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.octets(ecdh_params(self.group, self.public)).u16(self.algorithm, "algorithm")
        writer.vector(2, self.signature, "signature")


def ecdh_params(group: int, public: bytes) -> bytes:
    """Return the part of the body that is signed."""
    return Writer().u8(_NAMED_CURVE, "curve_type").u16(group, "namedcurve").vector(1, public, "public").finish()
