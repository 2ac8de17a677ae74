"""CertificateRequest of 1.2 (RFC 5246 §7.4.4)."""

import enum
from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from dtls.number_list import read_u16_list, write_u16_list
from wire.buffer import Reader, Writer

__all__ = ["CertificateRequest12", "ClientCertificateType"]


class ClientCertificateType(enum.IntEnum):
    """Kinds of keys that a client may prove to hold."""

    RSA_SIGN = 1
    ECDSA_SIGN = 64


@attrs.frozen(kw_only=True)
class CertificateRequest12:
    """The server asks who the client is.

    Attributes:
        certificate_types: a byte each, preferred first.
        schemes: what the server can verify, preferred first; unknown numbers are kept.
        certificate_authorities: names, each in DER; a self-signed certificate has nothing to do with them.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_REQUEST
    certificate_types: bytes
    schemes: tuple[int, ...]
    certificate_authorities: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        certificate_types = reader.vector(1, "certificate_types", minimum=1).rest()
        schemes = read_u16_list(reader, 2, "supported_signature_algorithms")
        inner = reader.vector(2, "certificate_authorities")
        authorities = []
        while len(inner):
            authorities.append(inner.vector(2, "DistinguishedName", minimum=1).rest())
        return cls(certificate_types=certificate_types, schemes=schemes, certificate_authorities=tuple(authorities))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        inner = Writer()
        for authority in self.certificate_authorities:
            inner.vector(2, authority, "DistinguishedName")
        writer.vector(1, self.certificate_types, "certificate_types")
        write_u16_list(writer, 2, self.schemes, "supported_signature_algorithms")
        writer.vector(2, inner.finish(), "certificate_authorities")
