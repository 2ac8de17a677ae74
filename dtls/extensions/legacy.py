"""What a DTLS 1.2 negotiation needs: extended_master_secret, renegotiation_info, ec_point_formats."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionType
from wire.buffer import Reader, Writer

__all__ = ["EcPointFormats", "ExtendedMasterSecret", "RenegotiationInfo"]


@attrs.frozen(kw_only=True)
class ExtendedMasterSecret:
    """Binds the master secret to the handshake; has no content (RFC 7627 §5.1)."""

    TYPE: ClassVar[ExtensionType] = ExtensionType.EXTENDED_MASTER_SECRET

    @classmethod
    def parse(cls, reader: Reader) -> Self:  # noqa: ARG003  (nothing to read)
        """Read nothing."""
        return cls()

    def serialize(self, writer: Writer) -> None:
        """Write nothing."""


@attrs.frozen(kw_only=True)
class RenegotiationInfo:
    """Binds a renegotiation to what came before it (RFC 5746 §3.2).

    Attributes:
        renegotiated_connection: empty in a first handshake, and we never have a second.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.RENEGOTIATION_INFO
    renegotiated_connection: bytes = b""

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the verify data of the handshake before."""
        return cls(renegotiated_connection=reader.vector(1, "renegotiated_connection").rest())

    def serialize(self, writer: Writer) -> None:
        """Write the verify data of the handshake before."""
        writer.vector(1, self.renegotiated_connection, "renegotiated_connection")


@attrs.frozen(kw_only=True)
class EcPointFormats:
    """How points of an elliptic curve are written; only uncompressed (0) is left (RFC 8422 §5.1.2).

    Attributes:
        formats: preferred first.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.EC_POINT_FORMATS
    formats: bytes = b"\0"

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the list."""
        return cls(formats=reader.vector(1, "ec_point_format_list", minimum=1).rest())

    def serialize(self, writer: Writer) -> None:
        """Write the list."""
        writer.vector(1, self.formats, "ec_point_format_list")
