"""supported_versions (RFC 8446 §4.2.1), and the cookie of a HelloRetryRequest (§4.2.2)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionType
from dtls.number_list import read_u16_list, write_u16_list
from wire.buffer import Reader, Writer

__all__ = ["Cookie", "SelectedVersion", "SupportedVersions"]


@attrs.frozen(kw_only=True)
class SupportedVersions:
    """In a ClientHello.

    Attributes:
        versions: what the client speaks, preferred first; unknown numbers are kept.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.SUPPORTED_VERSIONS
    versions: tuple[int, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the list."""
        return cls(versions=read_u16_list(reader, 1, "versions"))

    def serialize(self, writer: Writer) -> None:
        """Write the list."""
        write_u16_list(writer, 1, self.versions, "versions")


@attrs.frozen(kw_only=True)
class SelectedVersion:
    """In a ServerHello: the version from here on, which is 1.3 when the extension is there at all.

    Attributes:
        version: the number as the wire has it.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.SUPPORTED_VERSIONS
    version: int

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the version."""
        return cls(version=reader.u16("selected_version"))

    def serialize(self, writer: Writer) -> None:
        """Write the version."""
        writer.u16(self.version, "selected_version")


@attrs.frozen(kw_only=True)
class Cookie:
    """In a HelloRetryRequest and the ClientHello that answers it.

    Attributes:
        cookie: opaque to the client.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.COOKIE
    cookie: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the cookie."""
        return cls(cookie=reader.vector(2, "cookie", minimum=1).rest())

    def serialize(self, writer: Writer) -> None:
        """Write the cookie."""
        writer.vector(2, self.cookie, "cookie")
