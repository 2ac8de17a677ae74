"""signature_algorithms (RFC 8446 §4.2.3)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionType
from dtls.number_list import read_u16_list, write_u16_list
from wire.buffer import Reader, Writer

__all__ = ["SignatureAlgorithms"]


@attrs.frozen(kw_only=True)
class SignatureAlgorithms:
    """In a ClientHello and in a CertificateRequest of 1.3.

    Attributes:
        schemes: what the sender can verify, preferred first; unknown numbers are kept.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.SIGNATURE_ALGORITHMS
    schemes: tuple[int, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the list."""
        return cls(schemes=read_u16_list(reader, 2, "supported_signature_algorithms"))

    def serialize(self, writer: Writer) -> None:
        """Write the list."""
        write_u16_list(writer, 2, self.schemes, "supported_signature_algorithms")
