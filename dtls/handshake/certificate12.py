"""Certificate of 1.2 (RFC 5246 §7.4.2, §7.4.6)."""

from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["CertificateMessage12"]


@attrs.frozen(kw_only=True)
class CertificateMessage12:
    """Who the sender says it is.

    Attributes:
        certificates: in DER, the end entity's first; only that one counts against a fingerprint. A client that has
            none sends an empty list.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE
    certificates: tuple[bytes, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        inner = reader.vector(3, "certificate_list")
        certificates = []
        while len(inner):
            certificates.append(inner.vector(3, "ASN.1Cert", minimum=1).rest())
        return cls(certificates=tuple(certificates))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        inner = Writer()
        for certificate in self.certificates:
            inner.vector(3, certificate, "ASN.1Cert")
        writer.vector(3, inner.finish(), "certificate_list")
