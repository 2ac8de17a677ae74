"""ClientHello, the same in both versions (RFC 9147 §5.3, RFC 6347 §4.2.1)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionBlock
from dtls.handshake.message import HandshakeType
from dtls.number_list import read_u16_list, write_u16_list
from dtls.versions import Version
from wire.buffer import Reader, Writer

__all__ = ["ClientHello"]


@attrs.frozen(kw_only=True)
class ClientHello:
    """What the client offers.

    Attributes:
        legacy_version: 1.2 on the wire for both versions; supported_versions tells the truth.
        random: 32 bytes.
        legacy_session_id: at most 32 bytes; we send none.
        legacy_cookie: the cookie of a 1.2 HelloVerifyRequest; empty before one came.
        cipher_suites: preferred first; unknown numbers are kept.
        legacy_compression_methods: the single byte 0.
        extensions: in the order of the wire.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.CLIENT_HELLO
    legacy_version: int = Version.DTLS_1_2
    random: bytes
    legacy_session_id: bytes = b""
    legacy_cookie: bytes = b""
    cipher_suites: tuple[int, ...]
    legacy_compression_methods: bytes = b"\0"
    extensions: ExtensionBlock

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        legacy_version = reader.u16("legacy_version")
        random = reader.octets(32, "random")
        legacy_session_id = reader.vector(1, "legacy_session_id", maximum=32).rest()
        legacy_cookie = reader.vector(1, "legacy_cookie").rest()
        return cls(
            legacy_version=legacy_version,
            random=random,
            legacy_session_id=legacy_session_id,
            legacy_cookie=legacy_cookie,
            cipher_suites=read_u16_list(reader, 2, "cipher_suites"),
            legacy_compression_methods=reader.vector(1, "legacy_compression_methods", minimum=1).rest(),
            extensions=ExtensionBlock.parse_optional(reader),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u16(self.legacy_version, "legacy_version").octets(self.random)
        writer.vector(1, self.legacy_session_id, "legacy_session_id")
        writer.vector(1, self.legacy_cookie, "legacy_cookie")
        write_u16_list(writer, 2, self.cipher_suites, "cipher_suites")
        writer.vector(1, self.legacy_compression_methods, "legacy_compression_methods")
        self.extensions.serialize_optional(writer)
