"""ServerHello, the same in both versions (RFC 9147 §5.4, RFC 8446 §4.1.3)."""

import hashlib
from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionBlock
from dtls.handshake.message import HandshakeType
from dtls.versions import Version
from wire.buffer import Reader, Writer

__all__ = ["DOWNGRADE_TO_1_2", "HELLO_RETRY_REQUEST_RANDOM", "ServerHello"]

HELLO_RETRY_REQUEST_RANDOM = hashlib.sha256(b"HelloRetryRequest").digest()
"""RFC 8446 §4.1.3: a ServerHello with this random is a HelloRetryRequest."""

DOWNGRADE_TO_1_2 = b"DOWNGRD\x01"
"""RFC 8446 §4.1.3: a server that speaks 1.3 and answers with 1.2 ends its random like this."""


@attrs.frozen(kw_only=True)
class ServerHello:
    """What the server chose.

    Attributes:
        legacy_version: 1.2 on the wire for both versions.
        random: 32 bytes.
        legacy_session_id_echo: empty (RFC 9147 §5: servers MUST NOT echo).
        cipher_suite: the one chosen.
        legacy_compression_method: 0.
        extensions: in the order of the wire.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO
    legacy_version: int = Version.DTLS_1_2
    random: bytes
    legacy_session_id_echo: bytes = b""
    cipher_suite: int
    legacy_compression_method: int = 0
    extensions: ExtensionBlock

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(
            legacy_version=reader.u16("legacy_version"),
            random=reader.octets(32, "random"),
            legacy_session_id_echo=reader.vector(1, "legacy_session_id_echo", maximum=32).rest(),
            cipher_suite=reader.u16("cipher_suite"),
            legacy_compression_method=reader.u8("legacy_compression_method"),
            extensions=ExtensionBlock.parse_optional(reader),
        )

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u16(self.legacy_version, "legacy_version").octets(self.random)
        writer.vector(1, self.legacy_session_id_echo, "legacy_session_id_echo")
        writer.u16(self.cipher_suite, "cipher_suite")
        writer.u8(self.legacy_compression_method, "legacy_compression_method")
        self.extensions.serialize_optional(writer)

    @property
    def is_hello_retry_request(self) -> bool:
        """Whether it asks for another ClientHello instead of answering this one."""
        return self.random == HELLO_RETRY_REQUEST_RANDOM
