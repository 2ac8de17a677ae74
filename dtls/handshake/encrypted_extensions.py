"""EncryptedExtensions of 1.3 (RFC 8446 §4.3.1)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionBlock
from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["EncryptedExtensions"]


@attrs.frozen(kw_only=True)
class EncryptedExtensions:
    """The server's answers that need no cleartext; use_srtp is here.

    Attributes:
        extensions: in the order of the wire.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.ENCRYPTED_EXTENSIONS
    extensions: ExtensionBlock

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(extensions=ExtensionBlock.parse(reader))

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        self.extensions.serialize(writer)
