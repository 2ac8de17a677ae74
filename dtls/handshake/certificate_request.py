"""CertificateRequest of 1.3 (RFC 8446 §4.3.2)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionBlock
from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["CertificateRequest"]


@attrs.frozen(kw_only=True)
class CertificateRequest:
    """The server asks who the client is.

    Attributes:
        context: empty during the handshake.
        extensions: signature_algorithms has to be among them.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CERTIFICATE_REQUEST
    context: bytes = b""
    extensions: ExtensionBlock

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(
            context=reader.vector(1, "certificate_request_context").rest(), extensions=ExtensionBlock.parse(reader)
        )

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.vector(1, self.context, "certificate_request_context")
        self.extensions.serialize(writer)
