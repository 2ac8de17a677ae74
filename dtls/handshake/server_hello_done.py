"""ServerHelloDone of 1.2 (RFC 5246 §7.4.5)."""

from typing import ClassVar, Self

import attrs

from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["ServerHelloDone"]


@attrs.frozen(kw_only=True)
class ServerHelloDone:
    """The server has said all that it has to say; there is nothing in it."""

    TYPE: ClassVar[HandshakeType] = HandshakeType.SERVER_HELLO_DONE

    @classmethod
    def parse(cls, reader: Reader) -> Self:  # noqa: ARG003  (nothing to read)
        """Read nothing."""
        return cls()

    def serialize(self, writer: Writer) -> None:
        """Write nothing."""
