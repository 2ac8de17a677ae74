"""Certificate of 1.3 (RFC 8446 §4.4.2)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionBlock
from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["CertificateEntry", "CertificateMessage"]


@attrs.frozen(kw_only=True)
class CertificateEntry:
    """One certificate of the chain.

    Attributes:
        cert_data: the certificate in DER.
        extensions: about this certificate; we ask for none.
    """

    cert_data: bytes
    extensions: ExtensionBlock = attrs.field(factory=ExtensionBlock)

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the entry."""
        return cls(cert_data=reader.vector(3, "cert_data", minimum=1).rest(), extensions=ExtensionBlock.parse(reader))

    def serialize(self, writer: Writer) -> None:
        """Write the entry."""
        writer.vector(3, self.cert_data, "cert_data")
        self.extensions.serialize(writer)


@attrs.frozen(kw_only=True)
class CertificateMessage:
    """Who the sender says it is.

    Attributes:
        context: echo of the request's context; empty during the handshake.
        entries: the end entity's certificate first; only that one counts against a fingerprint.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE
    context: bytes = b""
    entries: tuple[CertificateEntry, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        context = reader.vector(1, "certificate_request_context").rest()
        inner = reader.vector(3, "certificate_list")
        entries = []
        while len(inner):
            entries.append(CertificateEntry.parse(inner))
        return cls(context=context, entries=tuple(entries))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        inner = Writer()
        for entry in self.entries:
            entry.serialize(inner)
        writer.vector(1, self.context, "certificate_request_context").vector(3, inner.finish(), "certificate_list")
