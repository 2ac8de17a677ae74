"""CertificateVerify, the same in both versions (RFC 8446 §4.4.3, RFC 5246 §7.4.8)."""

from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["CertificateVerify"]


@attrs.frozen(kw_only=True)
class CertificateVerify:
    """Proof that the sender holds the private key of its certificate.

    Attributes:
        algorithm: number of the signature scheme.
        signature: over the transcript so far.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_VERIFY
    algorithm: int
    signature: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(algorithm=reader.u16("algorithm"), signature=reader.vector(2, "signature").rest())

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u16(self.algorithm, "algorithm").vector(2, self.signature, "signature")
