"""supported_groups (RFC 8446 §4.2.7) and key_share (§4.2.8)."""

from typing import ClassVar, Self

import attrs

from dtls.extensions.block import ExtensionType
from dtls.number_list import read_u16_list, write_u16_list
from wire.buffer import Reader, Writer

__all__ = ["KeyShareEntry", "KeyShares", "SelectedKeyShare", "SupportedGroups"]


@attrs.frozen(kw_only=True)
class SupportedGroups:
    """The groups that a client can use for the key exchange.

    Attributes:
        groups: preferred first; unknown numbers are kept.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.SUPPORTED_GROUPS
    groups: tuple[int, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the list."""
        return cls(groups=read_u16_list(reader, 2, "named_group_list"))

    def serialize(self, writer: Writer) -> None:
        """Write the list."""
        write_u16_list(writer, 2, self.groups, "named_group_list")


@attrs.frozen(kw_only=True)
class KeyShareEntry:
    """A public value for one group.

    Attributes:
        group: number of the group.
        key_exchange: the public value, in the encoding of the group.
    """

    group: int
    key_exchange: bytes

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read group and value."""
        return cls(group=reader.u16("group"), key_exchange=reader.vector(2, "key_exchange", minimum=1).rest())

    def serialize(self, writer: Writer) -> None:
        """Write group and value."""
        writer.u16(self.group, "group").vector(2, self.key_exchange, "key_exchange")


@attrs.frozen(kw_only=True)
class KeyShares:
    """In a ClientHello: the public values that the client sends ahead.

    Attributes:
        entries: in the client's order; may be empty.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.KEY_SHARE
    entries: tuple[KeyShareEntry, ...]

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the list."""
        inner = reader.vector(2, "client_shares")
        entries = []
        while len(inner):
            entries.append(KeyShareEntry.parse(inner))
        return cls(entries=tuple(entries))

    def serialize(self, writer: Writer) -> None:
        """Write the list."""
        inner = Writer()
        for entry in self.entries:
            entry.serialize(inner)
        writer.vector(2, inner.finish(), "client_shares")

    def for_group(self, group: int) -> bytes | None:
        """Return the client's public value for a group, if it sent one."""
        for entry in self.entries:
            if entry.group == group:
                return entry.key_exchange
        return None


@attrs.frozen(kw_only=True)
class SelectedKeyShare:
    """In a ServerHello: the group chosen, and the server's public value.

    Attributes:
        entry: group and value.
    """

    TYPE: ClassVar[ExtensionType] = ExtensionType.KEY_SHARE
    entry: KeyShareEntry

    @classmethod
    def parse(cls, reader: Reader) -> Self:
        """Read the one entry."""
        return cls(entry=KeyShareEntry.parse(reader))

    def serialize(self, writer: Writer) -> None:
        """Write the one entry."""
        self.entry.serialize(writer)
