"""What all handshake bodies have in common."""

from typing import ClassVar, Protocol, Self, TypeVar

from dtls.handshake.message import HandshakeType
from wire.buffer import Reader, Writer

__all__ = ["HandshakeBody", "parse_body", "serialize_body"]


class HandshakeBody(Protocol):
    """The content of a handshake message that we understand."""

    TYPE: ClassVar[HandshakeType]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the body; whoever calls refuses trailing bytes."""

    def serialize(self, writer: Writer) -> None:
        """Write the body, without the handshake header."""


_Body = TypeVar("_Body", bound=HandshakeBody)


def parse_body(body: type[_Body], data: bytes) -> _Body:
    """Read a whole body.

    Raises:
        MalformedError: it does not parse, or bytes are left over.
        AbortError: it parses, but a rule for its structure is broken.
    """
    reader = Reader(data)
    parsed = body.parse(reader)
    if len(reader):
        reader.finish(body.TYPE.name.lower())
    return parsed


def serialize_body(body: HandshakeBody) -> bytes:
    """Write a whole body."""
    writer = Writer()
    body.serialize(writer)
    return writer.finish()
