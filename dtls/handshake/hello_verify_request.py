"""HelloVerifyRequest of 1.2 (RFC 6347 §4.2.1)."""

from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from dtls.versions import Version
from wire.buffer import Reader, Writer

__all__ = ["HelloVerifyRequest"]


@attrs.frozen(kw_only=True)
class HelloVerifyRequest:
    """A server that keeps no state asks whether the client's address is real. We never send it.

    Attributes:
        server_version: says nothing about the version to come (RFC 6347 §4.2.1).
        cookie: to be put into a second ClientHello that is otherwise the first.
    """

    TYPE: ClassVar[HandshakeType] = HandshakeType.HELLO_VERIFY_REQUEST
    server_version: int = Version.DTLS_1_0
    cookie: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body."""
        return cls(server_version=reader.u16("server_version"), cookie=reader.vector(1, "cookie").rest())

    def serialize(self, writer: Writer) -> None:
        """Write the body."""
        writer.u16(self.server_version, "server_version").vector(1, self.cookie, "cookie")
