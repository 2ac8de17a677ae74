"""The list of extensions at the end of a hello and of some other messages.

Unknown extensions keep their bytes and go out again as they came.

Source: RFC 8446 §4.2.
"""

import enum
from collections.abc import Iterable
from typing import ClassVar, Protocol, Self, TypeVar

import attrs

from dtls.alerts import AbortError, AlertDescription, misbehaved
from wire.buffer import Reader, Writer

__all__ = ["Extension", "ExtensionBlock", "ExtensionBody", "ExtensionType", "require_known"]


class ExtensionType(enum.IntEnum):
    """Extensions that have a name here."""

    SERVER_NAME = 0
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    USE_SRTP = 14
    EXTENDED_MASTER_SECRET = 23
    SUPPORTED_VERSIONS = 43
    COOKIE = 44
    PSK_KEY_EXCHANGE_MODES = 45
    KEY_SHARE = 51
    RENEGOTIATION_INFO = 0xFF01

    @classmethod
    def name_of(cls, number: int) -> str:
        """Return the RFC's name of an extension, or its number where it has none."""
        return cls(number).name.lower() if number in cls._value2member_map_ else f"extension {number}"


class ExtensionBody(Protocol):
    """The content of an extension that we understand."""

    TYPE: ClassVar[ExtensionType]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the content; whoever calls refuses trailing bytes."""

    def serialize(self, writer: Writer) -> None:
        """Write the content, without type and length."""


_Body = TypeVar("_Body", bound=ExtensionBody)


@attrs.frozen
class Extension:
    """An extension, understood or not.

    Attributes:
        type: an `ExtensionType`, or a number that has no name here.
        data: its content.
    """

    type: int
    data: bytes


@attrs.frozen
class ExtensionBlock:
    """Extensions in the order of the wire.

    Attributes:
        entries: the extensions, each type at most once.
    """

    entries: tuple[Extension, ...] = ()

    @classmethod
    def of(cls, bodies: Iterable[ExtensionBody]) -> Self:
        """Build a block from extensions that we understand."""
        entries = []
        for body in bodies:
            writer = Writer()
            body.serialize(writer)
            entries.append(Extension(body.TYPE, writer.finish()))
        return cls(tuple(entries))

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read a block with its length in front.

        Raises:
            MalformedError: a length is wrong.
            AbortError: an extension is there twice.
        """
        inner = reader.vector(2, "extensions")
        entries = []
        while len(inner):
            extension_type = inner.u16("extension_type")
            entries.append(Extension(extension_type, inner.vector(2, "extension_data").rest()))
        # RFC 8446 §4.2: there MUST NOT be more than one extension of the same type in a given extension block.
        if len({entry.type for entry in entries}) != len(entries):
            raise misbehaved("an extension is there twice")
        return cls(tuple(entries))

    @classmethod
    def parse_optional(cls, reader: Reader) -> Self:
        """Read a block that a 1.2 hello may leave out altogether (RFC 5246 §7.4.1.4)."""
        return cls.parse(reader) if len(reader) else cls()

    def serialize(self, writer: Writer) -> None:
        """Write the block with its length in front."""
        inner = Writer()
        for entry in self.entries:
            inner.u16(entry.type, "extension_type").vector(2, entry.data, "extension_data")
        writer.vector(2, inner.finish(), "extensions")

    def serialize_optional(self, writer: Writer) -> None:
        """Write the block, or nothing when it is empty."""
        if self.entries:
            self.serialize(writer)

    def get(self, body: type[_Body]) -> _Body | None:
        """Read one extension; None when it is not there.

        Raises:
            MalformedError: its content does not parse.
        """
        for entry in self.entries:
            if entry.type == body.TYPE:
                reader = Reader(entry.data)
                parsed = body.parse(reader)
                if len(reader):
                    reader.finish(ExtensionType.name_of(body.TYPE))
                return parsed
        return None

    def require(self, body: type[_Body]) -> _Body:
        """Read one extension that has to be there.

        Raises:
            AbortError: it is not there (RFC 8446 §9.2: missing_extension).
        """
        parsed = self.get(body)
        if parsed is None:
            name = ExtensionType.name_of(body.TYPE)
            raise AbortError(AlertDescription.MISSING_EXTENSION, "missing-extension", f"{name} is not there")
        return parsed

    @property
    def types(self) -> frozenset[int]:
        """The types that are there."""
        return frozenset(entry.type for entry in self.entries)


def require_known(answer: ExtensionBlock, offered: frozenset[int]) -> None:
    """Refuse an answer to what was never asked.

    Raises:
        AbortError: the answer has an extension that the ClientHello had not.
    """
    for entry in answer.entries:
        # RFC 8446 §4.2: an extension response that was not requested MUST abort with unsupported_extension.
        if entry.type not in offered:
            name = ExtensionType.name_of(entry.type)
            raise AbortError(AlertDescription.UNSUPPORTED_EXTENSION, "misbehaved", f"{name} was not offered")
